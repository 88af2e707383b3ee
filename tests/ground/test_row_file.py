"""Numbers survive the file exactly, and a line that was cut short does not."""

import json
import math

from eigensam.ground.row_file import RowFile


def test_round_trip(tmp_path):
    file = RowFile(tmp_path / "a" / "rows.jsonl")
    assert file.read() == []
    rows = [{"step": 0, "value": 0.1 + 0.2}, {"step": 7, "value": 1e-300, "count": 3}]
    for row in rows:
        file.append(row)
    assert file.read() == rows
    file.replace(rows[:1])
    assert file.read() == rows[:1]


def test_null_is_nan(tmp_path):
    file = RowFile(tmp_path / "rows.jsonl")
    file.append({"step": 0, "a": math.nan, "b": math.inf})
    assert json.loads(file.path.read_text()) == {"step": 0, "a": None, "b": None}
    assert math.isnan(file.read()[0]["a"])


def test_a_line_cut_short_is_removed(tmp_path):
    file = RowFile(tmp_path / "rows.jsonl")
    file.append({"step": 0})
    whole = file.path.read_text()
    for cut in ('{"step"', '{"step": 1}'):  # even if it looks whole: more digits may have followed
        file.path.write_text(whole + cut)
        assert file.read() == [{"step": 0}]
        assert file.path.read_text() == whole
    file.path.write_text('{"st')
    assert file.read() == []
    assert file.path.read_text() == ""
