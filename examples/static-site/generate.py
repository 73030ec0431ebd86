"""Makes pages of texts: the first line is the title, blank lines part paragraphs."""

import html
import pathlib
import sys

PAGE = "<!doctype html>\n<meta charset=utf-8>\n<title>{title}</title>\n<h1>{title}</h1>\n{body}\n"


def page(text):
    title, _, rest = text.partition("\n")
    paragraphs = [f"<p>{html.escape(part.strip())}</p>" for part in rest.split("\n\n") if part.strip()]
    return PAGE.format(title=html.escape(title), body="\n".join(paragraphs))


def main(source, target):
    target = pathlib.Path(target)
    target.mkdir(parents=True, exist_ok=True)
    texts = sorted(pathlib.Path(source).glob("*.txt"))
    for text in texts:
        (target / f"{text.stem}.html").write_text(page(text.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"{len(texts)} pages")


main(*sys.argv[1:])
