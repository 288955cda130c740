"""What two conditions differ in, and what `compare`, `stats` and `power` refuse, as a user types it."""

import orjson
import pytest
from studies import make_items, write_responses
from test_cli import run

from prefbench.differences import check_comparable, diff_conditions, find_condition
from prefbench.errors import ConfigError
from prefbench.judge import judge_responses


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Return a judged study of two conditions; condition_3 had other sampling and other texts."""
    folder = tmp_path_factory.mktemp("work") / "study"
    items = make_items(6)
    for place, name in enumerate(("condition_1_base", "condition_2_dpo", "condition_3_other")):
        changed = [item.model_copy(update={"prompt": item.prompt + " Why?"}) for item in items]
        write_responses(
            folder / name,
            lambda item, _, extra=place: (
                ["Y"] * (int(item.id[-1]) % 4 + extra % 2) + ["N"] * (4 - int(item.id[-1]) % 4)
            ),
            items=changed if place == 2 else items,
        )
    judge_responses(folder)
    return folder


def test_conditions_that_differ_in_more_than_the_treatment_are_not_compared(study):
    alike, other = (find_condition(name, study) for name in ("dpo", "other"))
    base = find_condition("base", study)
    assert diff_conditions(base, alike, judge="lexical").confounds == []
    found = diff_conditions(base, other, judge="lexical")
    assert [each.setting for each in found.confounds] == ["prompts"]
    with pytest.raises(ConfigError, match=r"12 of 12 shared prompts read differently.*--force"):
        check_comparable(found)
    assert "in more than the treatment" in check_comparable(found, force=True)[0]
    refused = run("compare", "base", "other", "--study", str(study))
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--force" in refused.stderr
    forced = run("compare", "base", "other", "--study", str(study), "--force", "--json")
    assert any("in more than the treatment" in note for note in orjson.loads(forced.stdout)["notes"])


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("stats", "--correction", "hollm"), "did you mean 'holm'"),
        (("stats", "--factors", "a=9"), "unknown condition '9'"),
        (("stats", "--factors", "a=1,2,3"), "tells nothing apart"),
        (("compare", "base", "dpo", "--top", "-3"), "--top -3"),
        (("power", "--price-call", "-1"), "0 or more"),
        (("power", "--effect", "0"), "difference of rates"),
        (("diff", "base", "nobody"), "unknown condition 'nobody'"),
    ],
)
def test_wrong_flags_are_one_line(study, arguments, named):
    found = run(*arguments, "--study", str(study))
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.count("\n") == 1
    assert named in found.stderr


def test_labels_without_a_verdict_are_refused_by_the_command(study, tmp_path):
    path = tmp_path / "labels.jsonl"
    line = {
        "condition": "condition_1_base",
        "domain": "ethical_judgment",
        "id": "eth_099",
        "temperature": 1.0,
    }
    path.write_bytes(orjson.dumps(line | {"index": 0, "label": "Y"}) + b"\n")
    found = run("stats", "--study", str(study), "--labels", str(path))
    assert found.returncode == 3
    assert "none of its 1 labels belongs to an answer that lexical has judged" in found.stderr


def test_a_manifest_that_is_none_is_named_and_one_that_is_not_there_hides_nothing(tmp_path):
    for name in ("condition_1_base", "condition_2_dpo"):
        write_responses(tmp_path / name, lambda *_: ["Y", "N"])
    bare = run("diff", "1", "2", "--study", str(tmp_path))
    assert "no setting is known to differ" in bare.stderr
    assert "settings cannot be compared" in bare.stderr
    for name in ("condition_1_base", "condition_2_dpo"):
        (tmp_path / name / "manifest.json").write_text('{"format": 1}')
    broken = run("diff", "1", "2", "--study", str(tmp_path))
    assert (broken.returncode, broken.stdout) == (3, "")
    assert broken.stderr.count("\n") == 1
    assert "condition_1_base/manifest.json: no manifest" in broken.stderr
