from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataset_tools.checks import CHECKS
from dataset_tools.errors import DataError, UsageError
from dataset_tools.fixes import KINDS, FixPlan, apply_fixes, fixed_path, iterate_log, plan_fixes, undo
from dataset_tools.fixes.log import log_path, rejects_path
from dataset_tools.lint import lint

Write = Callable[..., Path]
MESSY = [
    "alpaca_banking.json",
    "coffee_messages.parquet",
    "inst_gsm8k.txt",
    "kjv_pairs_noheader.tsv",
    "leak_train.jsonl",
    "naughty_strings.jsonl",
    "openai_chat_e2e.jsonl",
    "pii_banking.jsonl",
    "reviews_excel.csv",
    "scitldr_lengths.jsonl",
    "sharegpt_coffee.jsonl",
    "snips_bom_crlf.jsonl",
    "tldr_columns.parquet",
    "trivia_broken.jsonl",
    "trivia_unicode.jsonl",
    "xquad_latin1.jsonl",
]
GOOD = [f'{{"prompt": "question {n}", "completion": "answer {n}"}}' for n in range(12)]
ODD = [  # lines as they come out of programs and editors
    '{"prompt": "a", "completion": "b"},',
    '{"prompt": "a", "completion": "b"}{"prompt": "c", "completion": "d"}',
    "{'prompt': 'a', 'completion': None}",
    '{"prompt": "a", "completion": NaN}',
    '{\u201cprompt\u201d: "a", "completion": "b"}',
    '{"prompt": "a", "completion": "b", "completion": "c"}',
    '{"prompt": "\\ud800", "completion": "b"}',
    '{"prompt" :  "spaced", "completion": 1e0}',
    '{"prompt": "tab\there", "completion": "b"}',
    '{"messages": [{"role": "human", "content": "hi"}, {"role": "gpt", "content": "hello"}]}',
    '{"messages": [{"role": "user", "content": "hi"}]}',
    '{"prompt": "cut o',
    "// a comment",
    "# exported",
    "{",
    '"prompt": "a", "completion": "b"',
    "}",
    "[1, 2]",
    '["a", {"b": 1}]',
    '"text"',
    "7",
    "null",
    "",
    "  ",
    "not json",
    '  {"prompt": "indented", "completion": "kept"}  ',
]
NOT_A_NUMBER = '{"prompt": "c", "completion": "d", "score": NaN}'
LINES = st.lists(st.sampled_from(GOOD + ODD * 2), min_size=1, max_size=14)
IDS = st.sets(st.sampled_from(sorted(KINDS)), max_size=12) | st.just(set(KINDS))


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().split(b"\n")[:-1]


def _records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in _lines(path)]


def _counts(plan: FixPlan) -> dict[str, int]:
    return {fix.id: fix.count for fix in plan.fixes}


def test_a_plan_says_for_each_fix_what_it_does_to_which_rows_and_writes_nothing(write: Write, tmp_path: Path) -> None:
    path = write("\n".join([GOOD[0], GOOD[1] + ",", "", "{'prompt': 'a', 'completion': 'b'}", NOT_A_NUMBER, *GOOD[:2]]))
    plan = plan_fixes(path)
    assert _counts(plan) == {
        "invalid-json:comma-after-row": 1,
        "invalid-json:single-quotes": 1,
        "invalid-json:nan": 1,
        "blank-line": 1,
        "exact-duplicate": 2,
    }
    by_id = {fix.id: fix for fix in plan.fixes}
    assert plan.to_confirm == ("invalid-json:nan", "exact-duplicate")
    diff = by_id["invalid-json:single-quotes"].samples[0]
    assert (diff.line, diff.record) == (4, 3)
    assert (diff.before, diff.after) == (
        "{'prompt': 'a', 'completion': 'b'}",
        ('{"prompt": "a", "completion": "b"}',),
    )
    assert by_id["exact-duplicate"].samples[0].after == ()
    assert (plan.records, plan.rows, plan.unread) == (6, 4, 0)
    assert json.loads(json.dumps(plan.to_dict()))["fixes"][0]["id"] == "invalid-json:comma-after-row"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_at_most_five_diffs_are_shown_of_a_fix_that_is_counted_whole(write: Write) -> None:
    plan = plan_fixes(write("\n".join(line.replace('"', "'") for line in GOOD)))
    assert plan.fixes[0].count == 12
    assert len(plan.fixes[0].samples) == 5


def test_safe_fixes_are_made_without_being_named_and_no_others(write: Write) -> None:
    path = write("\n".join([*GOOD[:3], GOOD[3] + ",", NOT_A_NUMBER, GOOD[0]]))
    result = apply_fixes(path)
    assert result.counts == {"invalid-json:comma-after-row": 1}
    assert _lines(result.target) == [line.encode() for line in [*GOOD[:4], GOOD[0]]]
    assert result.target == path.with_name("rows.fixed.jsonl")
    assert [row["text"] for row in _records(rejects_path(result.target))] == [NOT_A_NUMBER]


def test_a_check_names_all_of_its_fixes_and_a_kind_only_its_own(write: Write) -> None:
    path = write("\n".join([*GOOD[:3], GOOD[3] + ",", ODD[3], ODD[4]]))
    assert apply_fixes(path, fixes=["invalid-json"]).rows == 6
    assert apply_fixes(path, fixes=["invalid-json:nan"]).counts == {"invalid-json:nan": 1}
    assert _counts(plan_fixes(path, only=["invalid-json"], safe_only=True)) == {"invalid-json:comma-after-row": 1}


def test_untouched_lines_are_copied_byte_for_byte(write: Write) -> None:
    odd = [
        '{"prompt":"a",   "completion" : "\\u00e9 \\/", "n": 12345678901234567890123, "x": 1.50}',
        "  " + GOOD[1] + " ",
    ]
    path = write("\ufeff" + "\r\n".join([*odd, GOOD[2] + ","]) + "\r\n")
    result = apply_fixes(path)
    assert _lines(result.target)[:2] == [line.encode() for line in odd]
    assert result.changed == 1


def test_what_cannot_be_read_and_what_is_no_object_goes_to_the_rejects_with_its_text(write: Write) -> None:
    path = write("\n".join([*GOOD[:4], '{"prompt": "cut o', '"text"', "// note"]))
    result = apply_fixes(path)
    assert result.rejects is not None
    found = [(row["line"], row["check"], row.get("text", row.get("row"))) for row in _records(result.rejects)]
    assert found == [
        (5, "invalid-json", '{"prompt": "cut o'),
        (6, "not-an-object", "text"),
        (7, "invalid-json:comment", "// note"),
    ]
    assert result.dropped == 3


def test_rows_with_errors_that_nothing_mends_stay_unless_they_are_to_be_dropped(write: Write) -> None:
    empty = '{"prompt": "a", "completion": ""}'
    path = write("\n".join([*GOOD[:4], empty]))
    assert apply_fixes(path).rows == 5
    result = apply_fixes(path, drop_bad=True)
    assert result.rows == 4
    assert result.rejects is not None
    assert [(row["line"], row["check"]) for row in _records(result.rejects)] == [(5, "empty-field")]
    assert not [finding for finding in lint(result.target).findings if finding.severity == "error"]


def test_rejects_of_an_earlier_run_do_not_stay_beside_a_file_without_any(write: Write) -> None:
    path = write("\n".join([*GOOD, '{"prompt": "cut o']))
    rejects = apply_fixes(path).rejects
    assert rejects is not None
    path.write_text("\n".join(GOOD))
    assert apply_fixes(path).rejects is None
    assert not rejects.exists()


@pytest.mark.parametrize("name", ["rows.jsonl", "./rows.jsonl", "link.jsonl", "hard.jsonl"])
def test_the_source_is_never_written_to(write: Write, tmp_path: Path, name: str) -> None:
    path = write("\n".join(GOOD))
    (tmp_path / "link.jsonl").symlink_to(path)
    (tmp_path / "hard.jsonl").hardlink_to(path)
    with pytest.raises(UsageError, match="overwrite the source"):
        apply_fixes(path, tmp_path / name)
    assert path.read_text() == "\n".join(GOOD)


def test_a_source_that_is_named_like_the_log_or_the_rejects_is_not_overwritten(write: Write, tmp_path: Path) -> None:
    for source in (log_path(tmp_path / "out.jsonl"), rejects_path(tmp_path / "out.jsonl")):
        path = write("\n".join(GOOD), source.name)
        with pytest.raises(UsageError, match="overwrite the source"):
            apply_fixes(path, tmp_path / "out.jsonl")


def test_a_file_of_nothing_but_rejects_is_refused_and_leaves_nothing_behind(write: Write, tmp_path: Path) -> None:
    path = write('{"prompt": "cut o\n{"prompt": "cut again')
    with pytest.raises(DataError, match="no row would be left"):
        apply_fixes(path)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_guessed_encoding_has_to_be_confirmed_and_a_certain_one_not(write: Write) -> None:
    text = "\n".join(['{"prompt": "caf\u00e9 fran\u00e7ais, d\u00e9j\u00e0 vu", "completion": "\u00e9t\u00e9"}', *GOOD])
    guessed = write(text.encode("cp1252"), "guessed.jsonl")
    with pytest.raises(UsageError, match="confirmed"):
        apply_fixes(guessed)
    assert apply_fixes(guessed, fixes=["encoding"]).target.read_bytes().decode().startswith(text.split("\n")[0])
    certain = write(text.encode("utf-16"), "certain.jsonl")
    assert next(fix for fix in plan_fixes(certain).fixes if fix.id == "encoding").safe
    assert apply_fixes(certain).target.read_bytes().decode() == text + "\n"


@pytest.mark.parametrize(
    ("name", "fixed"),
    [
        ("rows.jsonl", "rows.fixed.jsonl"),
        ("rows.fixed.jsonl", "rows.fixed.fixed.jsonl"),
        ("rows.v2.CSV.gz", "rows.v2.fixed.jsonl"),
        ("rows", "rows.fixed.jsonl"),
    ],
)
def test_the_name_of_a_fixed_file_is_its_own(name: str, fixed: str) -> None:
    assert fixed_path(Path("folder") / name) == Path("folder") / fixed


def test_an_unknown_fix_is_refused_by_name(write: Write) -> None:
    with pytest.raises(UsageError, match="mend-all"):
        plan_fixes(write("\n".join(GOOD)), only=["mend-all"])


@pytest.mark.parametrize(
    ("content", "name"), [("", "empty.jsonl"), (b"\x00\x01\x02" * 100, "binary.jsonl"), ("  \n", "blank.csv")]
)
def test_what_holds_no_rows_is_refused(write: Write, content: str | bytes, name: str) -> None:
    with pytest.raises(DataError):
        plan_fixes(write(content, name))


def test_tables_come_out_as_json_lines_with_their_broken_records_in_the_rejects(write: Write) -> None:
    rows = "\n".join(f'question {n},"answer, {n}"' for n in range(8))
    result = apply_fixes(write(f" prompt ,completion\r\n{rows}\nlost,too,many\n", "table.csv"))
    assert _records(result.target)[0] == {"prompt": "question 0", "completion": "answer, 0"}
    assert result.rejects is not None
    assert [(row["check"], row["text"]) for row in _records(result.rejects)] == [("column-count", "lost,too,many")]


def test_a_broken_json_array_is_mended_element_by_element(write: Write) -> None:
    content = "[\n" + ",\n".join(["  " + line for line in GOOD[:6]]) + ',\n  {"prompt": "a", "completion": "b",},\n'
    content += '  {"prompt": "cut\n  },\n' + '  {"prompt": "c", "completion": "d"}\n]'
    result = apply_fixes(write(content, "rows.json"))
    assert [row["prompt"] for row in _records(result.target)][-2:] == ["a", "c"]
    assert result.rows == 8
    assert result.rejects is not None
    assert [(row["line"], row["text"]) for row in _records(result.rejects)] == [(9, '{"prompt": "cut\n  }')]


def test_rows_that_become_equal_by_a_fix_are_dropped_as_equal(write: Write) -> None:
    path = write("\n".join([*GOOD, GOOD[0].replace('"', "'")]))
    result = apply_fixes(path, fixes=["invalid-json", "exact-duplicate"])
    assert result.counts == {"invalid-json:single-quotes": 1, "exact-duplicate": 1}
    assert _lines(result.target) == [line.encode() for line in GOOD]


def test_rows_whose_keys_are_named_anew_are_checked_as_what_they_are_then(write: Write) -> None:
    rows = [f'{{"Instruction": "do it, number {n}", "input": "", "Output": "done {n}"}}' for n in range(9)]
    path = write("\n".join([*rows, '{"Instruction": "do it, number 10", "input": "", "Output": ""}']))
    result = apply_fixes(path, fixes=sorted(KINDS))
    assert not [finding for finding in lint(result.target).findings if finding.severity == "error"]
    assert apply_fixes(result.target, fixes=sorted(KINDS)).counts == {}


@pytest.mark.parametrize(
    "lines",
    [
        [ODD[0], ODD[0], ODD[9], ODD[9]],  # without the second half of the equal rows, another format is that of most
        [ODD[6], ODD[10], GOOD[0]],
    ],
)
def test_dropped_rows_change_the_format_of_most_and_all_fixes_are_made_in_the_new_one(
    write: Write, lines: list[str]
) -> None:
    once = apply_fixes(write("\n".join(lines)), fixes=sorted(KINDS))
    assert apply_fixes(once.target, fixes=sorted(KINDS)).counts == {}


def test_what_the_user_says_of_the_columns_is_not_guessed_anew(write: Write) -> None:
    rows = "\n".join(f"text {n},answer {n},{n}" for n in range(9))
    path = write(f"body,reply,text\n{rows}\n,answer,9\n", "rows.csv")
    said = {"prompt": "body", "completion": "reply"}
    assert _counts(plan_fixes(path, columns=said)) == {"empty-field": 1}
    assert apply_fixes(path, fixes=["empty-field"], columns=said).rows == 9


def test_the_log_names_line_check_and_hashes_and_keeps_what_was_there(write: Write) -> None:
    result = apply_fixes(write("\n".join([*GOOD, ODD[0]])))
    [entry] = iterate_log(result.target)
    assert (entry["line"], entry["check"], entry["before"]) == (13, "invalid-json:comma-after-row", ODD[0])
    assert entry["before_hash"] != entry["after_hash"][0]


def test_an_undo_is_refused_where_the_file_was_changed_or_has_no_log(write: Write) -> None:
    result = apply_fixes(write("\n".join([*GOOD, ODD[0]])))
    with pytest.raises(UsageError, match="no log"):
        undo(result.source)
    result.target.write_bytes(result.target.read_bytes() + b"{}\n")
    with pytest.raises(DataError, match="changed since"):
        undo(result.target)
    result.log.write_bytes(b"{nonsense\n")
    with pytest.raises(DataError, match="damaged"):
        undo(result.target)


def test_an_undo_in_place_takes_log_and_rejects_away(write: Write, tmp_path: Path) -> None:
    content = [*GOOD, ODD[0], '{"prompt": "cut o']
    path = write("\n".join(content))
    result = apply_fixes(path)
    undone = undo(result.target)
    assert (undone.file, undone.exact) == (result.target, True)
    assert result.target.read_bytes() == path.read_bytes()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["rows.fixed.jsonl", "rows.jsonl"]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(LINES, IDS, st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_fixes_are_idempotent_and_undone_to_the_byte(lines: list[str], ids: set[str], end: str, drop_bad: bool) -> None:
    """Fixed twice is fixed once; an undo gives every byte back, whatever was fixed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        content = end.join(lines).encode()
        path.write_bytes(content)
        try:
            once = apply_fixes(path, Path(folder) / "once.jsonl", fixes=ids, drop_bad=drop_bad)
        except (DataError, UsageError):
            return
        assert path.read_bytes() == content
        twice = apply_fixes(once.target, Path(folder) / "twice.jsonl", fixes=ids, drop_bad=drop_bad)
        assert twice.target.read_bytes() == once.target.read_bytes()
        assert twice.counts == {}
        container = plan_fixes(path).container
        if container == "jsonl":
            back = undo(once.target, into=Path(folder) / "back.jsonl")
            assert back.file.read_bytes() == content
            assert back.exact


@settings(max_examples=120, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=120).map(str.encode))
def test_no_bytes_crash_a_plan_or_a_fix(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        path.write_bytes(content)
        try:
            plan_fixes(path)
            result = apply_fixes(path, fixes=sorted(KINDS), drop_bad=True)
        except (DataError, UsageError):
            return
        assert all(isinstance(row, dict) for row in _records(result.target))


@pytest.mark.parametrize("name", MESSY)
def test_the_messy_files_are_fixed_to_no_finding_of_what_was_fixed(messy: Path, tmp_path: Path, name: str) -> None:
    result = apply_fixes(messy / name, tmp_path / "once.jsonl", fixes=sorted(KINDS))
    report = lint(result.target)
    assert report.rows == result.rows
    found = {finding.check: finding.count for finding in report.findings}
    fixable = {check.id for check in CHECKS if check.fix}
    assert {check: count for check, count in found.items() if check in fixable} == result.left
    twice = apply_fixes(result.target, tmp_path / "twice.jsonl", fixes=sorted(KINDS))
    assert twice.target.read_bytes() == result.target.read_bytes()


@pytest.mark.parametrize("name", [name for name in MESSY if name.endswith(".jsonl")])
def test_the_messy_files_come_back_by_an_undo(messy: Path, tmp_path: Path, name: str) -> None:
    result = apply_fixes(messy / name, tmp_path / "once.jsonl", fixes=sorted(KINDS), drop_bad=True)
    back = undo(result.target, into=tmp_path / "back.jsonl")
    assert back.exact
    assert back.file.read_bytes() == (messy / name).read_bytes()


ENDS = st.lists(st.sampled_from(["\n", "\r\n", "\n\n", "\r\n \r\n"]), min_size=14, max_size=14)


@settings(max_examples=60, deadline=None)
@given(ENDS, st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"]), st.booleans())
def test_an_undo_brings_back_encoding_line_ends_and_blank_lines(ends: list[str], codec: str, last: bool) -> None:
    rows = [*GOOD, ODD[3], '{"prompt": "caf\u00e9", "completion": "d",}']
    text = "".join(map("".join, zip(rows, ends, strict=True)))
    mark = "\ufeff" if codec == "utf-16-be" else ""
    content = (mark + (text if last else text.rstrip())).encode(codec)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        path.write_bytes(content)
        result = apply_fixes(path, fixes=sorted(KINDS))
        assert result.changed
        assert undo(result.target).exact
        assert result.target.read_bytes() == content


def test_sorted_rows_are_shuffled_when_asked_and_come_back_in_their_order(write: Write, tmp_path: Path) -> None:
    lines = [json.dumps({"prompt": f"question {n}", "completion": "abc"[n // 20]}) for n in range(60)]
    lines[5] = lines[5].replace('"', "'")
    path = write("\n".join(lines) + "\n")
    assert "sorted-by-label" in plan_fixes(path).to_confirm
    result = apply_fixes(path, fixes=["sorted-by-label", "invalid-json"])
    assert result.counts == {"invalid-json:single-quotes": 1, "sorted-by-label": 60}
    written = _lines(result.target)
    assert sorted(written) == sorted(line.replace("'", '"').encode() for line in lines)
    assert "sorted-by-label" not in {finding.check for finding in lint(result.target).findings}
    assert apply_fixes(result.target, tmp_path / "twice.jsonl", fixes=["sorted-by-label"]).counts == {}
    assert undo(result.target).exact
    assert result.target.read_bytes() == path.read_bytes()


def test_each_fix_says_what_it_counts(write: Write) -> None:
    path = write("\ufeff" + "\n\n".join([*GOOD, GOOD[0], GOOD[1].replace('"', "'")]))
    scopes = {fix["id"]: fix["scope"] for fix in plan_fixes(path).to_dict()["fixes"]}
    assert scopes == {
        "bom": "the file as a whole",
        "blank-line": "13 lines",
        "invalid-json:single-quotes": "changes 1 row",
        "exact-duplicate": "drops 2 rows",
    }
