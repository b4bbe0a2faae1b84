"""A service registers anew only if its etcd has other data than when it started."""

import pytest

from nodectl.etcd import registration
from nodectl.etcd.data_mark import DataMark
from tests.unit import cloud_standins as cloud
from tests.unit.cloud_standins import Etcd


def test_data_that_stay_are_not_lost_however_many_services_begin(store: Etcd) -> None:
    first, second = DataMark(store.address), DataMark(store.address)
    assert not first.lost()
    assert not second.lost()


def test_data_are_lost_once_they_are_gone_and_when_others_are_there(store: Etcd) -> None:
    before = DataMark(store.address)
    store.keys.clear()
    assert before.lost()
    after = DataMark(store.address)
    assert before.lost()
    assert not after.lost()


def test_an_etcd_that_is_away_or_cannot_answer_has_lost_nothing(store: Etcd) -> None:
    mark = DataMark(store.address)
    store.fails = True
    assert not mark.lost()
    store.fails = False
    assert not mark.lost()
    with cloud.etcd() as gone:
        mark = DataMark(gone.address)
    assert not mark.lost()


def test_an_etcd_that_was_away_when_the_service_started_is_known_from_its_first_answer(store: Etcd) -> None:
    store.fails = True
    mark = DataMark(store.address)
    store.fails = False
    assert not mark.lost()
    store.keys.clear()
    assert mark.lost()


def test_an_answer_that_etcd_cannot_give_is_no_empty_registry(store: Etcd) -> None:
    store.fails = True
    with pytest.raises(Exception, match="503"):
        registration.registered(store.address)
