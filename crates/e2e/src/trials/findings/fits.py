"""Whether reports of the linter are what others expect.

    fits.py sarif SCHEMA FILE…     SARIF against its schema
    fits.py xml SCHEMA FILE…       XML against a schema
    fits.py like FORMAT HADOLINT KILN    what hadolint wrote of the same file says as much as it
"""

import json
import sys
import xml.etree.ElementTree as ElementTree

import jsonschema
from lxml import etree


def sarif(schema, files):
    with open(schema) as text:
        schema = json.load(text)
    validator = jsonschema.validators.validator_for(schema)(schema)
    for file in files:
        with open(file) as text:
            report = json.load(text)
        for error in validator.iter_errors(report):
            yield f"{file}: {list(error.path)}: {error.message[:300]}"


def xml(schema, files):
    schema = etree.XMLSchema(etree.parse(schema))
    for file in files:
        if not schema.validate(etree.parse(file)):
            yield f"{file}: {schema.error_log}"


def checkstyle(path):
    """Each finding: its file, line, severity and rule, and the names of all that is said."""
    root = ElementTree.parse(path).getroot()
    assert (root.tag, root.get("version")) == ("checkstyle", "4.3"), root.attrib
    return {
        (file.get("name"), int(error.get("line")), error.get("severity"), error.get("source")): set(error.keys())
        for file in root
        for error in file
    }


def issues(path):
    with open(path) as text:
        text = text.read()
    if not text or text.endswith("\0"):
        return [json.loads(each) for each in text.split("\0")[:-1]]
    return json.loads(text)


def climate(path):
    return {
        (each["location"]["path"], each["location"]["lines"]["begin"], each["severity"], each["check_name"]): {
            f"{name}: {type(value).__name__}" for name, value in each.items()
        }
        for each in issues(path)
    }


def like(format, hadolint, kiln):
    read = checkstyle if format == "checkstyle" else climate
    theirs, ours = read(hadolint), read(kiln)
    missing = {key for key in theirs if key[3].startswith("DL")} - set(ours)
    if missing:
        yield f"{format}: not there is {sorted(missing)}, but {sorted(ours)}"
    names = set().union(*theirs.values())
    for key, said in ours.items():
        if not names <= said:
            yield f"{format}: {key} does not say {names - said}"
    if format == "gitlab":
        prints = [each["fingerprint"] for each in issues(kiln)]
        if len(set(prints)) != len(prints):
            yield "gitlab: two findings have one fingerprint"


what, *arguments = sys.argv[1:]
check = {
    "sarif": lambda schema, *files: sarif(schema, files),
    "xml": lambda schema, *files: xml(schema, files),
    "like": like,
}
wrong = list(check[what](*arguments))
print("\n".join(wrong) or "all fit")
