"""What the parts of a document are: one word for a kind of section, whatever its heading says."""

import re
from functools import lru_cache

# Words of headings; the first kind with a word in a heading has it.
_WORDS = {
    "conclusions": "conclu 结论 结语 小结 总结",
    "methods": r"method materials?\b procedure design setting participants patients measure intervention "
    "方法 资料 材料 对象 设计",
    "results": "result finding outcome 结果",
    "discussion": "discussion interpretation 讨论 分析",
    "introduction": r"introduction background objective aims?\b purpose context rationale importance "
    "背景 目的 引言 前言 导言 概述",
    "case": "case.report case.presentation case.description 病例",
    "limitations": "limitation 局限",
}
_PATTERNS = {kind: re.compile("|".join(words.split()), re.IGNORECASE) for kind, words in _WORDS.items()}


@lru_cache(maxsize=4096)
def kind_of(heading: str, otherwise: str) -> str:
    """Tell the kind of a section by its heading or by the category that its source gives.

    Args:
        heading: ``MATERIALS AND METHODS``, ``目的``...
        otherwise: The kind of a section whose heading tells nothing.
    """
    return next((kind for kind, pattern in _PATTERNS.items() if pattern.search(heading)), otherwise)
