"""Options of destroy: nothing from a file that may be wrong, and the keys of the stack's state."""

from typing import Any

from operations.destroy_options import configuration

TOKEN = {"secure": "in clear"}
FILE: dict[str, Any] = {
    "encryptionsalt": "v1:of the file",
    "config": {"aws:profile": "team", "dynamo:huggingFaceToken": TOKEN, "pattern": TOKEN, "dynamo:target": 1},
}


def state(kind: str, **keys: str) -> dict[str, Any]:
    return {"deployment": {"secrets_providers": {"type": kind, "state": keys}}}


def test_keys_of_providers_stay_and_what_is_of_the_program_goes() -> None:
    assert configuration({}, FILE) == {"encryptionsalt": "v1:of the file", "config": {"aws:profile": "team"}}


def test_state_says_what_it_is_encrypted_with() -> None:
    passphrase = state("passphrase", salt="v1:of the state")
    assert configuration(passphrase, FILE)["encryptionsalt"] == "v1:of the state"
    assert configuration(passphrase, {}) == {"encryptionsalt": "v1:of the state", "config": {}}
    cloud = configuration(state("cloud", url="awskms://k", encryptedkey="QUJD"), {})
    assert cloud == {"secretsprovider": "awskms://k", "encryptedkey": "QUJD", "config": {}}


def test_a_state_that_says_nothing_and_a_file_that_holds_nothing_are_enough() -> None:
    states: list[dict[str, Any]] = [{}, {"deployment": None}, {"deployment": {}}, state("service", url="x")]
    files: list[dict[str, Any]] = [{}, {"config": None}, {"config": [1]}]
    for exported in states:
        assert all(configuration(exported, whole)["config"] == {} for whole in files)
