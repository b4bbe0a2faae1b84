"""The offline provider in a Pulumi home: put there once, whatever happens at the same time."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools.toolchain import provider


def test_shells_that_are_set_up_at_the_same_time_all_find_the_provider(tmp_path: Path) -> None:
    program = provider._folder(tmp_path) / provider.PROGRAM

    def set_up(_: int) -> Path:
        provider.provide_offline(tmp_path)
        return program.readlink()

    for _ in range(20):
        program.unlink(missing_ok=True)
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(set_up, range(8))) == {provider.OFFLINE}
    assert [path.name for path in tmp_path.iterdir()] == ["plugins"]


def test_a_provider_of_another_clone_is_replaced_and_one_of_the_users_stays(tmp_path: Path) -> None:
    program = provider._folder(tmp_path) / provider.PROGRAM
    program.parent.mkdir(parents=True)
    program.symlink_to(tmp_path / "moved/pulumi-resource-command")
    provider.provide_offline(tmp_path)
    assert program.readlink() == provider.OFFLINE
    program.unlink()
    program.write_text("theirs")
    provider.provide_offline(tmp_path)
    assert program.read_text() == "theirs"
