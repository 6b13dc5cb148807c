"""The figures that activation memory is to reach, and what was measured of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from measuring import load


class Found(NamedTuple):
    text: str
    reached: bool


Goal = tuple[str, str, Found | None]


def goals() -> list[Goal]:
    """Each figure of the issue: what, the goal in words, what was found; None: not measured."""
    return [(name, goal, _read(result, find)) for name, goal, result, find in _GOALS]


def _read(name: str, find: Callable[[Any], Found]) -> Found | None:
    found = load(f"kv_{name}.json")
    try:
        return find(found) if found else None
    except (KeyError, IndexError, TypeError, StopIteration, ValueError) as error:
        raise SystemExit(f"results/kv_{name}.json has another shape: {error!r}") from error


def _bits(found: Any) -> Found:
    prompts = sum(case["prompts"] for case in found["cases"])
    equal = sum(case["bit_equal"] for case in found["cases"])
    hit = sum(case["all_hit"] for case in found["cases"])
    later = [one["bit_equal"] for one in found["again"]]
    text = (
        f"{equal:,} of {prompts:,} bit-equal, {hit:,} with all tokens hit; "
        f"{sum(later)} of {len(later)} in another process"
    )
    return Found(text, equal == hit == prompts and all(later))


def _full(found: Any) -> Found:
    worst = max(case["worst_error"] for case in found["cases"])
    same = sum(case["same_greedy"] for case in found["cases"])
    prompts = sum(case["against_full"] for case in found["cases"])
    return Found(
        f"{worst:.1e}; {same:,} of {prompts:,} the same", worst <= 1e-5 and same == prompts
    )


def _saved(memory: int, question: int, least: float) -> Callable[[Any], Found]:
    def find(found: Any) -> Found:
        cut, whole = (
            next(
                row["saved"]["cpu"]
                for row in rows
                if (row["memory_tokens"], row["question_tokens"]) == (memory, question)
            )
            for rows in (found["rows"], found["whole_vocabulary"])
        )
        below = "" if whole >= least else ", **below**"
        return Found(f"{cut:.1%}; with the whole vocabulary {whole:.1%}{below}", cut >= least)

    return find


def _goal_rows(found: Any) -> list[Any]:
    return [row for row in found["rows"] if row["goal"]]


def _disk(found: Any) -> Found:
    worst = max(row["disk_over_host"]["cpu"] for row in _goal_rows(found))
    return Found(f"{100 * worst:+.1f} % at most", worst <= 0.05)


def _storing(found: Any) -> Found:
    worst = max(row["storing"]["cpu"] for row in _goal_rows(found))
    return Found(f"{worst:.1%} at most", worst < 0.10)


def _int8(found: Any) -> Found:
    rows = {model["model"]: model["forms"] for model in found["models"]}
    error = max(forms["int8"]["logit_error"]["mean"] for forms in rows.values())
    size = max(forms["int8"]["bytes_of_bf16"] for forms in rows.values())
    equal = rows["recall"]["int8"]["right"] >= rows["recall"]["raw"]["right"]
    text = f"{error:.2%} in the mean; {size:.3f}; {'equal' if equal else 'lower'}"
    return Found(text, error <= 0.01 and size <= 0.55 and equal)


def _int4(found: Any) -> Found:
    rows = {model["model"]: model["forms"] for model in found["models"]}
    recall = rows["recall"]["int4"]["right"]
    below = rows["latest-wins"]["raw"]["right"] - rows["latest-wins"]["int4"]["right"]
    size = max(forms["int4"]["bytes_of_bf16"] for forms in rows.values())
    text = f"{recall:.1%}; {100 * below:.1f} points below; {size:.3f}"
    return Found(text, recall >= 0.99 and below <= 0.06 and size <= 0.30)


def _recall(found: Any) -> Found:
    right = _judged(found, "recall")
    text = f"{right['full']:.1%}; {right['none']:.1%}; {right['another']:.1%}"
    return Found(text, right["full"] >= 0.98 and right["none"] <= 0.02 and right["another"] <= 0.02)


def _judged(found: Any, task: str) -> Any:
    return next(
        row["right"] for row in found["rows"] if (row["task"], row["codec"]) == (task, "raw")
    )


def _edited(found: Any) -> Found:
    row = found["edited"]
    return Found(f"{row['new_value']} of {row['cases']}", row["new_value"] == row["cases"])


def _latest(found: Any) -> Found:
    right = _judged(found, "latest-wins")["full"]
    return Found(f"{right:.1%}", right >= 0.95)


def _rotated(found: Any) -> Found:
    rows = {name: row["right"] for name, row in found["answers"]["latest-wins"].items()}
    full, moved = rows["full, alone"], rows["moved, begin, first 15%"]
    stale = rows["not re-rotated, begin"]
    text = (
        f"{100 * (full - moved):.1f} points below full with the first 15 % computed again, "
        f"{100 * (full - rows['moved, begin, 0 %']):.1f} without; {100 * (full - stale):.1f} below"
    )
    return Found(text, full - moved <= 0.04 and full - stale >= 0.25)


def _kept(policy: str, keep: str, bound: float, *, most: bool = False) -> Callable[[Any], Found]:
    def find(found: Any) -> Found:
        row = next(row for row in found["rows"] if row["policy"] == policy)
        right = row[f"kept_{keep}"]
        return Found(f"{right:.1%}", right <= bound if most else right >= bound)

    return find


def _refused(found: Any) -> Found:
    hits = sum(one["hits_of_other_salts"] + one["hits_of_other_fields"] for one in found["refused"])
    tried = sum(one["salts"] + len(one["fields"]) for one in found["refused"])
    return Found(f"{hits} in {tried} tries", hits == 0)


def _damage(found: Any) -> Found:
    flips, detected, right = (
        sum(one[name] for one in found["refused"])
        for name in ("flips", "detected", "right_answers")
    )
    return Found(f"{detected} of {flips} found, {right} right", flips == detected == right)


def _evicted(found: Any) -> Found:
    worst = found["worst_ratio"]
    text = (
        f"{worst:.3f} of LRU's at most; budget {'held' if found['within_budget'] else 'exceeded'}"
    )
    return Found(text, worst <= 1 and found["within_budget"])


def _gone(found: Any) -> Found:
    rows = [row for row in found["life"] if row["verb"] in {"update", "erase"}]
    left = {name: sum(row["after"][name] for row in rows) for name in ("blocks", "files")}
    hits = sum(row["hits_after"] for row in rows)
    text = f"{left['blocks']} blocks, {left['files']} files, {hits} hits"
    return Found(text, not (left["blocks"] or left["files"] or hits))


def _many(found: Any) -> Found:
    many = found["many"]
    same = many["before"] == many["after"] and many["all_hit"] and len(set(many["tokens"])) == 1
    size = many["after"]["file_bytes"]
    return Found(
        f"{many['chats']:,} chats: {size:,} bytes {'as before' if same else 'CHANGED'}", same
    )


def _threads(found: Any) -> Found:
    built = found["at_once"]["many"]["long_passes"]
    text = f"{built} long forward pass of {found['at_once']['threads']} threads"
    return Found(text, built == found["at_once"]["one"]["long_passes"] == 1)


def _end_to_end(found: Any) -> Found:
    rows = found["families"]
    asked = 2 * sum(row["questions"] for row in rows)
    hit = sum(row["hit"] + row["hit_later"] for row in rows)
    agreed = sum(row["verified"] + row["verified_later"] for row in rows)
    text = f"{hit} of {asked} with all tokens hit, {agreed} agreed with a full prefill"
    return Found(text, hit == agreed == asked)


_GOALS: tuple[tuple[str, str, str, Callable[[Any], Found]], ...] = (
    ("raw fp32, all families, blocks, splits and questions, reloaded", "bit-equal, 100 % hits",
     "exact", _bits),
    ("the same against one full prefill", "<= 1e-5 relative, same greedy tokens", "exact", _full),
    ("time to first token saved: 512 tokens, question 32", ">= 88 %", "ttft",
     _saved(512, 32, 0.88)),
    ("2,048 tokens, question 32", ">= 95 %", "ttft", _saved(2048, 32, 0.95)),
    ("4,096 tokens, question 32", ">= 97 %", "ttft", _saved(4096, 32, 0.97)),
    ("2,048 tokens, question 256", ">= 85 %", "ttft", _saved(2048, 256, 0.85)),
    ("from disk (warm) against host memory", "within 5 %", "ttft", _disk),
    ("storing on top of building", "< 10 %", "ttft", _storing),
    ("int8: logit error; bytes against bf16; recall", "<= 1 %; <= 0.55; equal", "codecs", _int8),
    ("int4: recall; latest-wins; bytes", ">= 99 %; within 6 points; <= 0.30", "codecs", _int4),
    ("recall judge: full; no memory; another namespace's", ">= 98 %; <= 2 %; <= 2 %", "judges",
     _recall),
    ("latest-wins judge at 256 words", ">= 95 %", "judges", _latest),
    ("its blocks re-rotated; not re-rotated", "within 4 points; >= 25 points worse", "compose",
     _rotated),
    ("recall judge, half kept by leverage, question unknown", ">= 85 %", "policies",
     _kept("leverage", "0.5", 0.85)),
    ("one tenth kept by SnapKV with the question", ">= 90 %", "policies",
     _kept("snapkv", "0.1", 0.90)),
    ("one fifth kept at random", "<= 35 %", "policies", _kept("random", "0.2", 0.35, most=True)),
    ("one field of the fingerprint or the salt changed", "0 hits", "exact", _refused),
    ("one corrupt byte in a file", "found, answer right", "exact", _damage),
    ("every family with promote and chat, here and in another process", "all hit, all agree",
     "chats", _end_to_end),
    ("edit or erase of the text", "no block, file or hit left", "chats", _gone),
    ("the next answer after an edit is the new one", "always", "judges", _edited),
    ("1,000 chats over one cube", "stored length and bytes unchanged", "chats", _many),
    ("8 threads asking for the same missing prefix", "one build", "chats", _threads),
    ("GDSF against LRU, Zipf traces of mixed lengths", "never more seconds, within the budget",
     "eviction", _evicted),
)  # fmt: skip
