#!/usr/bin/env python3
"""What jinja2, set up as Hugging Face's apply_chat_template() does, gives for the templates of cases.json.

    render_with_jinja2.py cases.json             prints a JSON list: a text, or null where jinja2 raises
    render_with_jinja2.py --update cases.json    writes that into the file as what the tests expect

Exits with status 77 when jinja2 is not installed.
"""

import datetime
import json
import sys

try:
    import jinja2
    import jinja2.ext
    from jinja2 import nodes
    from jinja2.sandbox import ImmutableSandboxedEnvironment
except ImportError:
    sys.exit(77)

NOW = datetime.datetime(2024, 7, 26, 14, 5, 9)  # as in test_templates.cpp


class Generation(jinja2.ext.Extension):
    """{% generation %}...{% endgeneration %} prints its body."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("run"), [], [], body).set_lineno(line)

    def run(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def make_environment():
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = NOW.strftime
    return environment


def render(environment, template, variables):
    defaults = {"tools": None, "documents": None, "add_generation_prompt": True, "bos_token": "<s>", "eos_token": "</s>"}
    try:
        return environment.from_string(template).render({**defaults, **variables})
    except Exception:  # whatever it is, the template is refused
        return None


def write(path, content):
    """One case a line."""
    lines = [json.dumps(case, ensure_ascii=False) for case in content["cases"]]
    variables = ",\n  ".join(
        f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in content["variables"].items()
    )
    with open(path, "w", encoding="utf-8") as file:
        file.write('{"variables": {\n  ' + variables + '},\n"cases": [\n' + ",\n".join(lines) + "\n]}\n")


def main():
    path = sys.argv[-1]
    with open(path, encoding="utf-8") as file:
        content = json.load(file)
    environment = make_environment()
    results = [
        render(environment, case["template"], {**content["variables"], **case.get("variables", {})})
        for case in content["cases"]
    ]
    if sys.argv[1] == "--update":
        for case, result in zip(content["cases"], results):
            case["expected"] = result
        write(path, content)
    else:
        json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
