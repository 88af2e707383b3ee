"""Arguments of a verification from one mapping, for tests that change one of many."""

from dataclasses import fields


def planned(plan, **arguments):
    """The same arguments, those that are settings of a plan put into one."""
    own = {field.name for field in fields(plan)}
    flat = {name: value for name, value in arguments.items() if name not in own}
    return {**flat, "plan": plan(**{name: value for name, value in arguments.items() if name in own})}
