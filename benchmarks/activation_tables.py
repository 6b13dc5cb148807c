"""The tables of docs/activation.md, each out of one result; "" where there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from activation_goals import goals
from measuring import load


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def percent(share: float | None, digits: int = 1) -> str:
    return "-" if share is None else f"{100 * share:.{digits}f} %"


def made_by(name: str, more: str = "") -> str:
    told = load(f"kv_{name}.json").get("machine", {})
    where = f", on {told['cores']} cores of {told['cpu']}, {told['measured_on']}" if told else ""
    return f"\n\n`python benchmarks/kv_{name}.py`{where}.{' ' + more if more else ''}"


def figures() -> str:
    rows = [
        (name, goal, "not measured" if found is None else found.text,
         "-" if found is None else "yes" if found.reached else "**no**")
        for name, goal, found in goals()
    ]  # fmt: skip
    return table(["figure", "reach", "measured", "reached"], rows)


def exact() -> str:
    found = load("kv_exact.json")
    if not found:
        return ""
    rows = []
    for family in dict.fromkeys(case["family"] for case in found["cases"]):
        own = [case for case in found["cases"] if case["family"] == family]
        later = [one for one in found["again"] if one["family"] == family]
        prompts = sum(case["prompts"] for case in own)
        rows.append((
            family, prompts, *(sum(case[name] for case in own)
            for name in ("bit_equal", "all_hit")),
            f"{sum(c['same_greedy'] for c in own)} of {sum(c['against_full'] for c in own)}",
            f"{max(case['worst_error'] for case in own):.1e}",
            f"{sum(one['bit_equal'] for one in later)} of {len(later)}",
        ))  # fmt: skip
    head = ["family", "prompts", "bit-equal to the run in memory", "all tokens hit",
            "same greedy tokens as a full prefill", "largest relative error against it",
            "bit-equal in another process"]  # fmt: skip
    refused = found["refused"]
    fields = sorted({field for one in refused for field in one["fields"]})
    note = (
        f"Memories of {found['tokens']} tokens in blocks of 16, 64 and 256, fed at once or in runs "
        f"that end at odd places; prompts that leave them anywhere; questions of "
        f"{', '.join(map(str, found['questions']))} tokens. Small random models of each family. "
        f"One bit changed in a file: found {sum(one['detected'] for one in refused)} of "
        f"{sum(one['flips'] for one in refused)} times, and answered right "
        f"{sum(one['right_answers'] for one in refused)} times. Hits under another salt, or with "
        f"one field of the fingerprint changed ({', '.join(fields)}): "
        f"{sum(one['hits_of_other_salts'] + one['hits_of_other_fields'] for one in refused)}."
    )
    return table(head, rows) + made_by("exact", note)


def ttft() -> str:
    found = load("kv_ttft.json")
    if not found:
        return ""
    head = ["memory", "question", "full prefill", "from host memory", "from disk", "saved",
            "disk against host", "storing, of building", "pays after"]  # fmt: skip
    note = (
        "The shape of Qwen2-0.5B with 4 of its 24 layers, fp32, random weights, one thread, CPU "
        "seconds, medians. The vocabulary is cut to 8,192 words: what a model does with it after "
        "its layers costs the same with memory and without, and 4 layers would be charged with "
        "what 24 share. With all 151,936 words:"
    )
    first, whole = (
        table(head, map(_ttft_row, found[name])) for name in ("rows", "whole_vocabulary")
    )
    return f"{first}{made_by('ttft', note)}\n\n{whole}"


def _ttft_row(row: dict[str, Any]) -> list[str]:
    cpu = {name: each["cpu"] for name, each in row["seconds"].items()}
    uses = row["break_even_uses"]
    return [
        f"{row['memory_tokens']:,}",
        f"{row['question_tokens']}",
        *(f"{cpu[name]:.3f} s" for name in ("prefill", "host", "disk")),
        percent(row["saved"]["cpu"]),
        f"{100 * row['disk_over_host']['cpu']:+.1f} %",
        percent(row["storing"]["cpu"]),
        "never" if uses is None else f"{uses:.2f} uses",
    ]


def judges() -> str:
    found = load("kv_judges.json")
    if not found:
        return ""
    head = ["judge", "form", "questions", "with its memory", "with none", "with another's",
            "of its tokens hit"]  # fmt: skip
    rows = [
        (row["task"], row["codec"], row["questions"], percent(row["right"]["full"]),
         percent(row["right"]["none"]), percent(row["right"]["another"]), percent(row["hit_share"]))
        for row in found["rows"]
    ]  # fmt: skip
    changed = found["edited"]
    note = (
        "Added, promoted and asked with `chat`; contexts of 256 words. A fact was changed in "
        f"{changed['cases']} promoted texts: the next answer was the new one "
        f"{changed['new_value']} times, the old one {changed['old_value']} times."
    )
    return table(head, rows) + made_by("judges", note)


def chats() -> str:
    found = load("kv_chats.json")
    if not found:
        return ""
    rows = []
    for family in dict.fromkeys(row["family"] for row in found["families"]):
        own = [row for row in found["families"] if row["family"] == family]
        names = ("questions", "hit", "verified", "hit_later", "verified_later", "same_answer")
        rows.append((family, *(sum(row[name] for row in own) for name in names)))
    head = ["family", "questions", "all tokens hit", "agree with a full prefill",
            "the same in another process: hit", "agree", "same answer"]  # fmt: skip
    life = ", ".join(
        f"{row['verb']}: {row['after']['blocks']} blocks, {row['after']['files']} files, "
        f"{row['hits_after']} hits in the next answer"
        for row in found["life"]
    )
    many, once = found["many"], found["at_once"]
    note = (
        f"With `promote` and `chat`, blocks of 16, 64 and 256 tokens. What is left of "
        f"{found['life'][0]['before']['blocks']} blocks after the text changed or went: {life} "
        f"(what was forgotten can be restored). {many['chats']:,} chats over one cube: "
        f"{many['before']['file_bytes']:,} bytes before, {many['after']['file_bytes']:,} after. "
        f"{once['threads']} threads that promote one text at once: "
        f"{once['many']['long_passes']} long forward pass, {once['many']['cubes']} cube."
    )
    return table(head, rows) + made_by("chats", note)


def codecs() -> str:
    found = load("kv_codecs.json")
    if not found:
        return ""
    rows = [
        (model["model"], form, percent(row["logit_error"]["mean"], 2),
         percent(row["logit_error"]["p99"], 2), f"{row['bytes_of_bf16']:.3f}",
         percent(row["right"]), percent(row["same_token_as_raw"]), row["questions"])
        for model in found["models"] for form, row in model["forms"].items()
    ]  # fmt: skip
    head = ["model", "form", "error of logits, mean", "99th of 100", "bytes against bf16",
            "answers right", "same token as raw", "questions"]  # fmt: skip
    note = (
        "The error is the Euclidean norm of the difference of logits by that of the logits. Random "
        "weights make keys without any structure that a codec could use."
    )
    return table(head, rows) + made_by("codecs", note)


def compose() -> str:
    found = load("kv_compose.json")
    if not found:
        return ""
    names = dict.fromkeys(name for answers in found["answers"].values() for name in answers)
    judged = list(found["answers"])
    rows = [
        (name, *(percent(found["answers"][judge].get(name, {}).get("right")) for judge in judged))
        for name in names
    ]
    asked = next(iter(next(iter(found["answers"].values())).values()))["questions"]
    times = [
        (row["prompt_tokens"], row["parts"], way, f"{seconds:.3f} s", percent(row["saved"][way]))
        for row in found["times"] for way, seconds in row["cpu_seconds"].items()
    ]  # fmt: skip
    note = (
        f"Share of right answers of the judges to about {asked} questions each; 256 words in four "
        "parts that were computed apart, after the begin token alone or a head of 32 words. "
        "`first` and `deviating`: that share of the tokens was computed again."
    )
    head = ["way", *judged]
    first = table(head, rows) + made_by("compose", note)
    return f"{first}\n\n{table(['prompt', 'parts', 'way', 'CPU', 'saved'], times)}"


def eviction() -> str:
    found = load("kv_eviction.json")
    if not found:
        return ""
    rows = [
        (row["place"], row["trace"], f"{row['skew']:g}", percent(row["budget"], 0),
         f"{row['gdsf_s']:.0f} s", f"{row['lru_s']:.0f} s", f"{row['worst_ratio']:.3f}")
        for row in found["rows"]
    ]  # fmt: skip
    head = ["place", "trace", "Zipf", "budget, of all bytes", "recomputed, GDSF",
            "recomputed, LRU", "worst ratio of a run"]  # fmt: skip
    return table(head, rows) + made_by("eviction")


def listed() -> str:
    """The policies that there are, by what they say of themselves."""
    from mneme.memories.activation.policies import policies

    rows = [
        (f"`{p.about.name}`", p.about.paper, p.about.stage,
         "yes" if p.about.needs_question else "no",
         "yes" if p.about.frees_bytes else "no", "yes" if p.about.exact else "no",
         p.about.extra or "")
        for p in policies()
    ]  # fmt: skip
    head = ["policy", "follows", "stage", "needs the question", "frees bytes", "exact", "extra"]
    return table(head, rows)


def tiers() -> str:
    found = load("kv_tiers.json")
    if not found:
        return ""
    more = found["over_host"]
    rows = [
        (way, f"{1000 * each['median']:.1f} ms",
         f"{100 * more[way]['median']:+.1f} %" if way in more else "")
        for way, each in found["first_token_s"].items()
    ]  # fmt: skip
    building = found["building_s"]
    note = (
        f"{found['memory_tokens']:,} tokens of memory, a question of {found['question_tokens']}; "
        f"CPU time. Building takes {building['build_s']['median']:.2f} s; storing adds "
        f"{found['storing']['median']:.1%} to that. A file of {found['block_bytes']:,} bytes takes "
        f"{found['file_ms']['without']:.2f} ms, with fsync {found['file_ms']['with']:.2f} ms: "
        "files of blocks do without, since a checksum finds what a power cut broke."
    )
    head = ["first token from", "CPU", "more than from host memory"]
    return table(head, rows) + made_by("tiers", note)


def policies_table() -> str:
    found = load("kv_policies.json")
    if not found:
        return ""
    kept = [name for name in found["rows"][0] if name.startswith("kept_")]
    rows = [
        (f"`{row['policy']}`", row["stage"], *(percent(row.get(name), 0) for name in kept))
        for row in found["rows"]
    ]
    head = ["policy", "stage", *(f"{float(name.removeprefix('kept_')):.0%} kept" for name in kept)]
    answers = [
        (f"`{row['policy']}`", f"{row['prompt_tokens']} + {row['answer_tokens']}",
         row["most_tokens_held"], percent(row["asked_first"], 0), percent(row["asked_again"], 0))
        for row in found["decode_rows"]
    ]  # fmt: skip
    later = ["policy, while the answer grows", "budget: prompt + answer", "most held",
             "asked first", "asked again"]  # fmt: skip
    note = f"Share of right answers of the judge ({found['judge']})."
    picture = "![Right answers against the share that is kept](images/kv-policies.svg)"
    first = f"{picture}\n\n{table(head, rows)}{made_by('policies', note)}"
    return f"{first}\n\n{table(later, answers)}"


def loading() -> str:
    found = load("kv_loading.json")
    if not found:
        return ""
    judged = list(found["sentences"])
    names = dict.fromkeys(way for row in found["sentences"].values() for way in row["right"])
    rows = [
        (way, *(percent(found["sentences"][judge]["right"].get(way)) for judge in judged),
         percent(found["sentences"][judged[0]]["read"].get(way)))
        for way in names
    ]  # fmt: skip
    episodes = list(found["episodes"])
    names = dict.fromkeys(way for row in found["episodes"].values() for way in row["right"])
    parts = [
        (way, *(percent(found["episodes"][judge]["right"].get(way)) for judge in episodes))
        for way in names
    ]
    setting, size = found["setting"], found["sentences"][judged[0]]["index_share"]
    note = (
        f"{setting['words']} words, {setting['facts']} facts, sentences of about "
        f"{setting['sentence']} words; share of right answers to "
        f"{found['sentences'][judged[0]]['questions']} questions each. `chosen`: by digests "
        f"of keys (SentenceKV, LeoAM), an index of {size:.1%} of "
        "the bytes. Then episodes of a conversation (EpiCache):"
    )
    first = table(["sentences", *judged, "bytes read"], rows) + made_by("loading", note)
    return f"{first}\n\n{table(['episodes', *episodes], parts)}"


PARTS: dict[str, Callable[[], str]] = {
    "list": listed,
    "figures": figures,
    "exact": exact,
    "ttft": ttft,
    "chats": chats,
    "judges": judges,
    "codecs": codecs,
    "tiers": tiers,
    "eviction": eviction,
    "compose": compose,
    "policies": policies_table,
    "loading": loading,
}
