"""The snippets of a page of documentation, as files of the current directory.

    snippets.py PAGE REPOSITORY REVISION

pre-commit.yml has that repository and revision instead of the page's; github.yml and gitlab.yml are as they stand, and
github-1.sh… and gitlab-1.sh… hold what they run; hook is the hook of git.
"""

import re
import sys

from ruamel.yaml import YAML


def write(name, text):
    with open(name, "w") as file:
        file.write(text)


page, repository, revision = sys.argv[1:]
with open(page) as text:
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", text.read(), re.MULTILINE | re.DOTALL)
seen = set()
for language, text in blocks:
    if language == "sh" and text.startswith("#!"):
        write("hook", text)
        seen.add("hook")
    if language != "yaml":
        continue
    value = YAML(typ="safe").load(text)
    if "repos" in value:
        (only,) = value["repos"]
        text = text.replace(only["repo"], repository).replace(only["rev"], revision)
        write("pre-commit.yml", text)
        seen.add("pre-commit")
        continue
    (job,) = value.get("jobs", value).values()
    name = "github" if "jobs" in value else "gitlab"
    scripts = [step["run"] for step in job["steps"] if "run" in step] if name == "github" else job["script"]
    write(f"{name}.yml", text)
    for number, script in enumerate(scripts, 1):
        write(f"{name}-{number}.sh", f"set -e -o pipefail\n{script}\n")
    seen.add(name)
print(" ".join(sorted(seen)))
