"""Text in any script comes back as it went in, and is found by its words."""

from __future__ import annotations

import hashlib
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings

from mneme.app.memory import MemoryOS
from mneme.testing.strategies import SAYINGS, sayings

# (what was said, what is asked): the words of the question are some of what was said.
ASKED = {
    "Chinese": ("我上个月搬到了奥斯陆，新公寓很小。", "奥斯陆"),
    "Japanese": ("来週の金曜日に歯医者の予約があります。", "歯医者"),
    "kana": ("すきなたべものはラーメンです", "ラーメン"),
    "Korean": ("제 여동생은 부산에서 살아요", "부산에서"),
    "Thai": ("ฉันชอบกินข้าวมันไก่ที่ร้านเก่า", "ข้าวมันไก่"),
    "Hindi": ("मेरी बहन दिल्ली में रहती है", "दिल्ली"),
    "Arabic": ("أختي تعمل مهندسة في القاهرة", "القاهرة"),
    "Hebrew": ("הכלב שלי קוראים רקסי", "רקסי"),
    "Russian": ("Моя сестра живёт в Новосибирске", "Новосибирске"),
    "Greek": ("Η γάτα μου λέγεται Μαργαρίτα", "μαργαριτα"),
    "Turkish": ("İstanbul'da çalışıyorum", "istanbul"),
    "accents": ("My café in Besançon is closed", "cafe Besancon"),
    "accents in parts": ("Mon cafe\u0301 pre\u0301fe\u0301re\u0301", "préféré"),
    "a ligature": ("The oﬃce is in Graz", "office"),
    "full width": ("ＰＩＮ　４７１１", "4711"),
    "an emoji": ("My avatar is 🦊 these days", "🦊"),
    "a family": ("We are 👨‍👩‍👧 at home", "👨‍👩‍👧"),
    "code": ("def frobnicate(x): return x ** 2", "frobnicate"),
    "Khmer": ("ខ្ញុំរស់នៅភ្នំពេញ", "ភ្នំពេញ"),
    "Burmese": ("ကျွန်တော် ရန်ကုန်မှာ နေပါတယ်", "ရန်ကုန်"),
    "Georgian": ("ჩემი ძმა თბილისში ცხოვრობს", "თბილისში"),
    "Amharic": ("ወንድሜ በአዲስ አበባ ይኖራል", "አበባ"),
    "Tamil": ("என் அக்கா சென்னையில் வசிக்கிறார்", "சென்னையில்"),
    "mathematical letters": ("𝔥𝔢𝔩𝔩𝔬 there", "hello"),
}
OTHERS = (
    "Nothing to see here.", "A line about the weather.", "今天天气很好", "昨日は雨でした",
    "ฝนตกหนักมาก", "الطقس جميل اليوم", "Сегодня дождь", "आज मौसम अच्छा है", "🎉🎉", "היום יפה",
)  # fmt: skip


@pytest.mark.parametrize("script", ASKED)
@pytest.mark.parametrize("mode", ["hybrid", "lexical"])
def test_it_is_found_in_its_script(memory: MemoryOS, script: str, mode: str) -> None:
    said, asked = ASKED[script]
    there = memory.namespace(f"scripts/{mode}/{hashlib.md5(script.encode()).hexdigest()}")
    there.add_many(OTHERS)
    cube = there.add(said)[0]
    assert there.get(cube.id).text == said
    assert there.search(asked, mode=mode, limit=3)[0].cube.text == said
    assert said in there.recall(asked).text


@pytest.mark.parametrize("text", SAYINGS)
def test_known_texts_come_back(memory: MemoryOS, text: str) -> None:
    there = memory.namespace("known")
    cube = there.add(text, session=text[:20], speaker=text[:20], metadata={"said": text})[0]
    again = there.get(cube.id)
    assert (again.text, again.speaker, dict(again.metadata)) == (text, text[:20], {"said": text})


numbers = count()


@settings(
    max_examples=150, deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(text=sayings())
def test_any_text_comes_back_and_is_found_by_itself(memory: MemoryOS, text: str) -> None:
    there = memory.namespace(f"any/{next(numbers)}")
    cube = there.add(text, metadata={"said": text})[0]
    assert there.get(cube.id).text == text
    assert there.get(cube.id).metadata["said"] == text
    assert there.update(cube.id, text=text + " more").text == text + " more"
    assert [hit.cube.id for hit in there.search(text)] == [cube.id]
    there.recall(text)
    assert there.history(cube.id)[0].text == text
