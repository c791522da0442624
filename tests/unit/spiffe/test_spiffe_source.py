"""Rotation is all or nothing: a broken new set keeps the old, until it ends (threats C16, C17)."""

import threading

import pytest

from trustkit.errors import FormatError, TrustkitError, UnavailableError, UsageError
from trustkit.spiffe.svid import SVIDSource


class Folder:
    """Three files and a clock, changed by assignment."""

    def __init__(self, files, now):
        self.files = files
        self.now = now
        self.alarms = []
        self.raises = None

    def read(self, name):
        if self.raises is not None:
            raise self.raises
        return self.files[name]

    def source(self):
        return SVIDSource(self.read, lambda: self.now, alarm=self.alarms.append)


@pytest.fixture
def folder(issuer, now):
    return Folder(issuer.files("/store"), now)


def test_the_same_files_are_the_same_value(folder):
    source = folder.source()
    assert source.current() is source.current()


def test_a_new_set_is_taken_at_once(folder, issuer):
    source = folder.source()
    old = source.current()
    folder.files = issuer.files("/store")
    assert source.current().serial != old.serial
    assert not folder.alarms


def test_a_new_bundle_alone_is_taken(folder, issuer, certificates, now):
    source = folder.source()
    source.current()
    more = issuer.pem + certificates.Issuer(now, name="next").pem
    folder.files = {**folder.files, "bundle.pem": more}
    assert source.current().bundle_pem == more


@pytest.mark.parametrize("half", [("svid.pem",), ("svid_key.pem",), ("svid.pem", "bundle.pem")])
def test_half_a_set_keeps_the_old_and_alarms_once(folder, issuer, half):
    source = folder.source()
    old = source.current()
    whole, fresh = folder.files, issuer.files("/store")
    folder.files = {**whole, **{name: fresh[name] for name in half}}
    assert source.current() is old
    assert source.current() is old
    assert [alarm.code for alarm in folder.alarms] == ["bad-svid"]
    folder.files = fresh
    assert source.current() is not old


@pytest.mark.parametrize("name", ["svid.pem", "svid_key.pem", "bundle.pem"])
def test_garbage_keeps_the_old(folder, name):
    source = folder.source()
    old = source.current()
    folder.files = {**folder.files, name: b"garbage"}
    assert source.current() is old
    assert len(folder.alarms) == 1


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), UsageError("no-such-file", "gone")])
def test_files_that_cannot_be_read_keep_the_old(folder, error):
    source = folder.source()
    old = source.current()
    folder.raises = error
    assert source.current() is old
    assert len(folder.alarms) == 1


def test_a_set_of_another_identity_is_no_rotation(folder, issuer):
    source = folder.source()
    old = source.current()
    folder.files = issuer.files("/broker")
    assert source.current() is old
    assert "/broker" in str(folder.alarms[0])


def test_an_expired_new_set_keeps_the_old(folder, issuer):
    source = folder.source()
    old = source.current()
    folder.files = issuer.files("/store", not_after=-5)
    assert source.current() is old


def test_the_old_serves_to_its_last_second_and_not_longer(folder):
    source = folder.source()
    old = source.current()
    folder.files = {**folder.files, "svid.pem": b""}
    folder.now = old.not_after
    assert source.current() is old
    folder.now += 1
    with pytest.raises(UnavailableError) as caught:
        source.current()
    assert caught.value.code == "svid-expired"


def test_unchanged_files_that_expired_are_refused_too(folder):
    source = folder.source()
    folder.now = source.current().not_after + 1
    with pytest.raises(UnavailableError) as caught:
        source.current()
    assert caught.value.code == "svid-expired"


def test_a_new_set_after_the_end_brings_it_back(folder, issuer):
    source = folder.source()
    folder.now = source.current().not_after + 1
    with pytest.raises(UnavailableError):
        source.current()
    folder.files = issuer.files("/store", not_after=7200)
    assert source.current().not_after > folder.now


def test_without_a_first_good_set_the_reason_is_told(folder):
    folder.files = {**folder.files, "svid.pem": b""}
    with pytest.raises(FormatError) as caught:
        folder.source().current()
    assert caught.value.code == "bad-svid"
    folder.raises = OSError(13, "Permission denied")
    with pytest.raises(UnavailableError) as caught:
        folder.source().current()
    assert caught.value.code == "unreadable"
    assert not folder.alarms


def test_a_second_trouble_alarms_again_and_so_does_a_first_that_came_back(folder):
    source = folder.source()
    source.current()
    good = folder.files
    for files in ({**good, "svid.pem": b""}, {**good, "bundle.pem": b""}, good, {**good, "bundle.pem": b""}):
        folder.files = files
        source.current()
    assert len(folder.alarms) == 3


def test_without_an_alarm_nobody_is_told(folder):
    source = SVIDSource(folder.read, lambda: folder.now)
    old = source.current()
    folder.files = {**folder.files, "svid.pem": b""}
    assert source.current() is old


def test_threads_see_whole_sets_while_files_change_under_them(folder, issuer):
    """A writer replaces the files one by one; whoever reads gets one set or the other, never a mixture."""
    sets = [issuer.files("/store") for _ in range(3)]
    pairs = {(files["svid.pem"], files["svid_key.pem"]) for files in sets}
    folder.files = dict(sets[0])
    source, wrong, done = folder.source(), [], threading.Event()
    source.current()

    def read():
        while not done.is_set():
            try:
                svid = source.current()
            except TrustkitError as error:
                wrong.append(error)
            else:
                if (svid.chain_pem, svid.key_pem) not in pairs:
                    wrong.append(svid)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for turn in range(60):
        for name, raw in sets[turn % 3].items():
            folder.files[name] = raw
    done.set()
    for reader in readers:
        reader.join()
    assert not wrong


def test_the_place_of_the_files_is_said_where_it_is_known(folder, now):
    source = SVIDSource(folder.read, lambda: folder.now, alarm=folder.alarms.append, place="/run/svid")
    source.current()
    folder.files = {**folder.files, "svid.pem": b"garbage"}
    source.current()
    assert folder.alarms[0].message.startswith("'/run/svid': svid.pem must hold")
    folder.now = now + 10**6
    with pytest.raises(UnavailableError, match="our SVID in '/run/svid' has expired"):
        source.current()
