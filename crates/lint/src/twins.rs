//! Rules that BuildKit and hadolint both have: what both find at an instruction is one finding.

use std::collections::HashSet;

use kiln_dockerfile::code;

use crate::finding::Finding;

/// BuildKit's name and hadolint's code.
const TWINS: &[(&str, &str)] = &[
    (code::DUPLICATE_STAGE_NAME, "DL3024"),
    (code::FROM_PLATFORM_CONSTANT, "DL3029"),
    (code::JSON_ARGS_RECOMMENDED, "DL3025"),
    (code::MAINTAINER_DEPRECATED, "DL4000"),
    (code::REDUNDANT_TARGET_PLATFORM, "DL3065"),
    (code::RESERVED_STAGE_NAME, "DL3063"),
    (code::SECRETS_USED_IN_ARG_OR_ENV, "DL3064"),
    (code::WORKDIR_RELATIVE_PATH, "DL3000"),
];

/// The other name of a rule, if it has one.
pub(crate) fn other(code: &str) -> Option<&'static str> {
    TWINS.iter().find_map(|(theirs, hadolint)| match code {
        _ if code == *theirs => Some(*hadolint),
        _ if code == *hadolint => Some(*theirs),
        _ => None,
    })
}

/// Takes away what BuildKit says of an instruction that hadolint's rule says too; that finding has both names then.
pub(crate) fn join(findings: &mut Vec<Finding>) {
    let said: HashSet<(u32, &str)> = findings.iter().map(|finding| (finding.line, finding.code)).collect();
    findings.retain(|finding| {
        let is_theirs = TWINS.iter().any(|(theirs, _)| *theirs == finding.code);
        !is_theirs || other(finding.code).is_none_or(|twin| !said.contains(&(finding.line, twin)))
    });
    for finding in findings {
        finding.also = other(finding.code).filter(|twin| said.contains(&(finding.line, twin)));
    }
}
