"""One file per bound that a trained run can be given; what it computes with is imported when it computes."""
