"""What commands print, and what a process that refuses says."""

import json


def output(process, code=0):
    process.expect_exit(code)
    return process.out.text()


def printed(process, code=0):
    """The one JSON object."""
    return json.loads(output(process, code))


def errors_of(process):
    """The sentences that say why."""
    return [line for line in process.log.lines if " holdfast error " in line]


def one_sentence(errors):
    assert len(errors) == 1, "%d sentences: %s" % (len(errors), errors)
    return errors[0]
