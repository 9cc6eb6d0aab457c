"""What pages are made of, and names that no page must take for markup."""

from promptcache.analysis.report.course import Course
from promptcache.analysis.report.page import Told
from promptcache.receipts.entry import Entry
from promptcache.receipts.receipt import Receipt
from promptcache.receipts.rows import Rows

HOSTILE = "\"><script>document.title='x'</script><img src=x onerror=alert(1)>'&\u202e"


def told(receipts, *, source="receipts.jsonl", damaged=0):
    rows, course = Rows(), Course()
    for receipt in receipts:
        entry = Entry.of(receipt)
        rows.add(entry)
        course.add(entry)
    return Told(source, rows.to_dict(), rows.advice(), course, damaged)


def receipt(**values):
    base = {"provider": "a", "model": "m", "at": 1_764_000_000.0, "policy": "auto"}
    return Receipt(**{**base, **values})
