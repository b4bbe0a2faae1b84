"""Unit files have one writer: keys in the order given, repeated for each value."""

from nodectl.supervisors import unitfile


def test_a_key_is_written_once_for_each_of_its_values_and_with_none_not_at_all() -> None:
    text = unitfile.render(
        {
            "Unit": {"Description": "x", "After": []},
            "Service": {"Type": "exec", "Environment": ["A=1", "B=2"], "ExecStart": "/bin/true"},
        }
    )
    assert text == (
        "[Unit]\nDescription=x\n\n[Service]\nType=exec\nEnvironment=A=1\nEnvironment=B=2\nExecStart=/bin/true\n"
    )
