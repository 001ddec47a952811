#!/usr/bin/env python3
"""Makes corpus.json and LICENSE-chatterbot-corpus out of the source distribution of chatterbot-corpus.

    pip download --no-deps --no-binary :all: chatterbot-corpus==1.3.3
    python3 convert.py chatterbot_corpus-1.3.3.tar.gz

Needs PyYAML. The same archive gives the same bytes. Lines stay as their authors wrote them, faults included; left out are
what is not text, empty lines and lines over 500 characters, conversations of fewer than two lines and repeated ones, and
what exceeds 150 conversations a language, taken from its files in turn. At the end, the lines of samples.json are looked
up in the result.
"""

import hashlib
import itertools
import json
import pathlib
import sys
import tarfile

import yaml

VERSION = "1.3.3"
SHA256 = "615b5c4c605154f60ae51d03ed918ed92e9d32bc2b144b759bbc64ecdbe18481"
MAX_LINE = 500
MAX_CONVERSATIONS = 150

# The corpus names its languages by folder; BCP 47 has the codes.
CODES = {
    "bengali": "bn",
    "chinese": "zh",
    "dutch": "nl",
    "english": "en",
    "french": "fr",
    "german": "de",
    "hebrew": "he",
    "hindi": "hi",
    "hinglish": "hi-Latn",
    "indonesian": "id",
    "italian": "it",
    "japanese": "ja",
    "korean": "ko",
    "marathi": "mr",
    "oriya": "or",
    "persian": "fa",
    "portuguese": "pt",
    "russian": "ru",
    "spanish": "es",
    "swedish": "sv",
    "tamil": "ta",
    "telugu": "te",
    "thai": "th",
    "traditionalchinese": "zh-Hant",
    "turkish": "tr",
    "ukrainian": "uk",
    "urdu": "ur",
    "yoruba": "yo",
}

HERE = pathlib.Path(__file__).parent


def conversations(document):
    """The conversations of one file that have at least two usable lines."""
    for conversation in yaml.safe_load(document).get("conversations") or []:
        if not isinstance(conversation, list):
            continue
        lines = [line for line in conversation if isinstance(line, str) and line.strip() and len(line) <= MAX_LINE]
        if len(lines) >= 2:
            yield lines


def pick(documents):
    """Up to MAX_CONVERSATIONS, each once, one from each file in turn."""
    picked = {}
    for row in itertools.zip_longest(*map(conversations, documents)):
        for conversation in filter(None, row):
            picked.setdefault(tuple(conversation))
    return list(itertools.islice(picked, MAX_CONVERSATIONS))


def main(archive):
    if hashlib.sha256(pathlib.Path(archive).read_bytes()).hexdigest() != SHA256:
        sys.exit(f"{archive} is not the source distribution of chatterbot-corpus {VERSION}")
    root = f"chatterbot_corpus-{VERSION}"
    documents = {}
    with tarfile.open(archive) as tar:
        licence = tar.extractfile(f"{root}/license.md").read().decode()
        for name in sorted(tar.getnames()):
            if name.startswith(f"{root}/chatterbot_corpus/data/") and name.endswith(".yml"):
                documents.setdefault(name.split("/")[3], []).append(tar.extractfile(name).read().decode())
    if documents.keys() != CODES.keys():
        sys.exit(f"languages without a code, or missing: {sorted(documents.keys() ^ CODES.keys())}")

    languages = {language: pick(documents[language]) for language in sorted(documents)}
    # One conversation a line, for readable differences.
    blocks = []
    for language, picked in languages.items():
        rows = ",\n".join(json.dumps(conversation, ensure_ascii=False) for conversation in picked)
        blocks.append(f'{{"language":"{language}","code":"{CODES[language]}","conversations":[\n{rows}\n]}}')
    source = f"chatterbot-corpus {VERSION} (PyPI), BSD-3-Clause, see LICENSE-chatterbot-corpus"
    text = f'{{"source":"{source}","languages":[\n' + ",\n".join(blocks) + "\n]}\n"
    (HERE / "corpus.json").write_text(text, encoding="utf-8")

    head = f"corpus.json and samples.json are taken from chatterbot-corpus {VERSION}\n"
    head += "(https://pypi.org/project/chatterbot-corpus/, shortened by convert.py), under this licence:\n\n"
    (HERE / "LICENSE-chatterbot-corpus").write_text(head + licence.strip() + "\n", encoding="utf-8")

    for entry in json.loads(text)["languages"]:
        lines = sum(map(len, entry["conversations"]))
        print(f'{entry["language"]:20}{entry["code"]:8}{len(entry["conversations"]):4} conversations{lines:5} lines')
    for sample in json.loads((HERE / "samples.json").read_text(encoding="utf-8")):
        if not any(sample["line"] in conversation for conversation in languages[sample["language"]]):
            sys.exit(f"samples.json has a line that corpus.json has not: {sample}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
