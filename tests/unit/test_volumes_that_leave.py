"""The base image of a VM that was taken out of the VPG: there while a checkpoint needs it, gone afterwards."""

from __future__ import annotations

from farshore.datapath.replica.image import image_path
from farshore.datapath.replica.promotion import Promoter
from tests.made_streams import START_NS
from tests.told_journals import Story, story

FAR_NS = START_NS * 2
FILLED = [("write", 3, 0, b"of three"), ("write", 0, 0, b"of zero")] + [("checkpoint", 0, 0, None)] * 12


def told_with_one_leaving(told: Story) -> int:
    """Some history, of which a part is promoted; then volume 3 leaves. The last ordinal that has it."""
    told.tell(FILLED)
    Promoter(told.journal, -1).step(FAR_NS)
    assert image_path(told.folder, 3).exists()
    told.tell(FILLED)
    last = told.offered()[-1]
    del told.disks[3]
    told.say_volumes()
    told.tell([("write", 0, 8, b"alone")] + [("checkpoint", 0, 0, None)] * 12)
    return last


def test_its_image_stays_while_a_checkpoint_has_it_and_goes_with_the_last() -> None:
    """A pin keeps both; whoever has it open reads on."""
    with story() as told:
        last = told_with_one_leaving(told)
        told.journal.pin("test", str(last))
        Promoter(told.journal, -1).step(FAR_NS)
        told.check({0, 3, 5}, last)
        told.journal.unpin("test")
        Promoter(told.journal, -1).step(FAR_NS)
        assert told.journal.floor.ordinal > last
        assert not image_path(told.folder, 3).exists()
        told.check({0, 5}, told.offered()[-1])
        assert [image_path(told.folder, number).exists() for number in (0, 5)] == [True, True]
