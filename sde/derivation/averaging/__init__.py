"""The SDE of a recursion: fast blocks averaged out with a corrector, epochs, schedules."""
