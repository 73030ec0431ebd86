//! What each rule is about.

use crate::code;

/// A rule: one of BuildKit's, or one of Kiln's about what BuildKit would not build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Its name, the code of its warnings.
    pub name: &'static str,
    /// The last part of its page's address; empty where it has none.
    page: &'static str,
    /// What it asks for, in one sentence.
    pub description: &'static str,
    /// Whether it is silent unless `experimental=` names it.
    pub experimental: bool,
}

impl Rule {
    /// The address of its page in docker's documentation, if it has one.
    pub fn url(&self) -> Option<String> {
        (!self.page.is_empty()).then(|| format!("https://docs.docker.com/go/dockerfile/rule/{}/", self.page))
    }
}

/// The rule of that name.
pub fn find(name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.name == name)
}

const fn rule(name: &'static str, page: &'static str, description: &'static str) -> Rule {
    Rule {
        name,
        page,
        description,
        experimental: false,
    }
}

/// BuildKit's in the order of docker's documentation, then Kiln's.
const RULES: &[Rule] = &[
    rule(
        code::STAGE_NAME_CASING,
        "stage-name-casing",
        "Names of stages are written in lower case",
    ),
    rule(
        code::FROM_AS_CASING,
        "from-as-casing",
        "FROM and AS are both in upper or both in lower case",
    ),
    rule(
        code::NO_EMPTY_CONTINUATION,
        "no-empty-continuation",
        "No blank lines within an instruction: they are to become errors",
    ),
    rule(
        code::INSTRUCTION_CASING,
        "consistent-instruction-casing",
        "All keywords of a file are in the same case, upper or lower",
    ),
    rule(
        code::DUPLICATE_STAGE_NAME,
        "duplicate-stage-name",
        "No two stages have the same name",
    ),
    rule(
        code::RESERVED_STAGE_NAME,
        "reserved-stage-name",
        "No stage is called `scratch` or `context`, which mean something else",
    ),
    rule(
        code::JSON_ARGS_RECOMMENDED,
        "json-args-recommended",
        "CMD and ENTRYPOINT are JSON arrays: a shell in between does not pass signals on",
    ),
    rule(
        code::MAINTAINER_DEPRECATED,
        "maintainer-deprecated",
        "A label names the author, MAINTAINER is deprecated",
    ),
    rule(
        code::UNDEFINED_ARG_IN_FROM,
        "undefined-arg-in-from",
        "FROM uses only ARGs that are declared before the first FROM",
    ),
    rule(
        code::WORKDIR_RELATIVE_PATH,
        "workdir-relative-path",
        "The first WORKDIR is absolute: relative to what the base image has, it changes with that",
    ),
    rule(
        code::UNDEFINED_VAR,
        "undefined-var",
        "Variables are defined before they are used",
    ),
    rule(
        code::MULTIPLE_INSTRUCTIONS,
        "multiple-instructions-disallowed",
        "A stage has one CMD, ENTRYPOINT and HEALTHCHECK: only the last one counts",
    ),
    rule(
        code::LEGACY_KEY_VALUE_FORMAT,
        "legacy-key-value-format",
        "ENV and LABEL are written with `=`, not with a blank",
    ),
    rule(
        code::INVALID_BASE_IMAGE_PLATFORM,
        "",
        "The base image is for the platform that is built for",
    ),
    rule(
        code::REDUNDANT_TARGET_PLATFORM,
        "redundant-target-platform",
        "No FROM --platform=$TARGETPLATFORM: that is the default",
    ),
    rule(
        code::SECRETS_USED_IN_ARG_OR_ENV,
        "secrets-used-in-arg-or-env",
        "No secrets in ARG and ENV: they stay readable in the image",
    ),
    rule(
        code::INVALID_DEFAULT_ARG_IN_FROM,
        "invalid-default-arg-in-from",
        "The defaults of ARGs alone make a valid image name of FROM",
    ),
    rule(
        code::FROM_PLATFORM_CONSTANT,
        "from-platform-flag-const-disallowed",
        "FROM --platform is no constant, so that the file builds for other platforms",
    ),
    rule(
        code::COPY_IGNORED_FILE,
        "copy-ignored-file",
        "COPY and ADD name no files that .dockerignore leaves out",
    ),
    Rule {
        experimental: true,
        ..rule(
            code::INVALID_DEFINITION_DESCRIPTION,
            "invalid-definition-description",
            "A comment directly above ARG or FROM describes it: `# NAME description`; others have a blank line below",
        )
    },
    rule(
        code::EXPOSE_PROTO_CASING,
        "expose-proto-casing",
        "The protocol in EXPOSE is in lower case",
    ),
    rule(
        code::EXPOSE_INVALID_FORMAT,
        "expose-invalid-format",
        "EXPOSE names ports of the container, no addresses and ports of the machine: they are to become errors",
    ),
    rule(
        code::LINK_WITH_OWNER_NAME,
        "",
        "COPY and ADD with --link give the owner in numbers: BuildKit fails at names",
    ),
    rule(
        code::NETWORK_HOST_NOT_ALLOWED,
        "",
        "RUN --network=host is allowed on the command line: BuildKit refuses it otherwise",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_have_pages() {
        assert_eq!(
            find("JSONArgsRecommended").and_then(Rule::url).as_deref(),
            Some("https://docs.docker.com/go/dockerfile/rule/json-args-recommended/")
        );
        assert_eq!(find("InvalidBaseImagePlatform").and_then(Rule::url), None);
        assert_eq!(find("NoSuchRule"), None);
    }

    #[test]
    fn names_are_unique() {
        for rule in RULES {
            assert_eq!(find(rule.name), Some(rule));
        }
    }
}
