//! All rules in the order of their codes.

use super::{
    Found, Rule, commands, copying, from, general, kiln, labels, languages, order, packages, shells, upkeep, users,
};
use crate::finding::Severity::{self, Error, Info, Style, Warning};
use crate::view::View;

/// The rule of that code.
pub fn find(code: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.code.eq_ignore_ascii_case(code))
}

const fn rule(code: &'static str, severity: Severity, check: fn(&View<'_>, &mut Found<'_>)) -> Rule {
    Rule {
        code,
        severity,
        off: false,
        check,
    }
}

/// One that is silent unless a configuration gives it a severity.
const fn off(code: &'static str, check: fn(&View<'_>, &mut Found<'_>)) -> Rule {
    Rule {
        off: true,
        ..rule(code, Info, check)
    }
}

/// What the parser says and not a check of its own.
const fn nothing(_: &View<'_>, _: &mut Found<'_>) {}

/// hadolint's and Kiln's rules; BuildKit's are the parser's and the plan's.
pub const RULES: &[Rule] = &[
    rule("DL1000", Error, nothing),
    off("DL1001", general::pragmas),
    rule("DL3000", Error, general::workdir),
    rule("DL3001", Info, commands::pointless),
    rule("DL3002", Warning, users::last_is_root),
    rule("DL3003", Warning, commands::cd),
    rule("DL3004", Error, commands::sudo),
    rule("DL3006", Warning, from::no_tag),
    rule("DL3007", Warning, from::latest),
    rule("DL3008", Warning, packages::apt_versions),
    rule("DL3009", Info, upkeep::apt_lists),
    rule("DL3010", Info, copying::unpacked),
    rule("DL3011", Error, general::ports),
    rule("DL3012", Error, order::one_healthcheck),
    rule("DL3013", Warning, languages::pip_versions),
    rule("DL3014", Warning, packages::apt_yes),
    rule("DL3015", Info, packages::apt_recommends),
    rule("DL3016", Warning, languages::npm_versions),
    rule("DL3018", Warning, packages::apk_versions),
    rule("DL3019", Info, packages::apk_cache),
    rule("DL3020", Error, copying::add_for_files),
    rule("DL3021", Error, copying::directory),
    rule("DL3022", Warning, copying::unknown_stage),
    rule("DL3023", Error, copying::own_stage),
    rule("DL3024", Error, from::duplicate_name),
    rule("DL3025", Warning, shells::exec_form),
    rule("DL3026", Error, from::registries),
    rule("DL3027", Warning, packages::apt_for_people),
    rule("DL3028", Warning, languages::gem_versions),
    rule("DL3029", Warning, from::platform),
    rule("DL3030", Warning, packages::yum_yes),
    rule("DL3032", Warning, upkeep::yum_clean),
    rule("DL3033", Warning, packages::yum_versions),
    rule("DL3034", Warning, packages::zypper_yes),
    rule("DL3035", Warning, packages::zypper_upgrade),
    rule("DL3036", Warning, upkeep::zypper_clean),
    rule("DL3037", Warning, packages::zypper_versions),
    rule("DL3038", Warning, packages::dnf_yes),
    rule("DL3040", Warning, upkeep::dnf_clean),
    rule("DL3041", Warning, packages::dnf_versions),
    rule("DL3042", Warning, languages::pip_cache),
    rule("DL3043", Error, nothing),
    rule("DL3044", Error, general::same_env),
    rule("DL3045", Warning, copying::relative),
    rule("DL3046", Warning, commands::large_uid),
    rule("DL3047", Info, commands::wget_progress),
    rule("DL3048", Style, labels::keys),
    rule("DL3049", Info, labels::missing),
    rule("DL3050", Info, labels::superfluous),
    rule("DL3051", Warning, labels::empty),
    rule("DL3052", Warning, labels::url),
    rule("DL3053", Warning, labels::rfc3339),
    rule("DL3054", Warning, labels::spdx),
    rule("DL3055", Warning, labels::hash),
    rule("DL3056", Warning, labels::semver),
    off("DL3057", order::no_healthcheck),
    rule("DL3058", Warning, labels::email),
    rule("DL3059", Info, order::runs_in_a_row),
    rule("DL3060", Info, upkeep::yarn_clean),
    rule("DL3061", Error, nothing),
    rule("DL3062", Warning, languages::go_versions),
    rule("DL3063", Warning, from::reserved_name),
    rule("DL3064", Warning, general::secrets),
    rule("DL3065", Warning, from::target_platform),
    rule("DL3066", Info, users::by_name),
    rule("DL3067", Warning, copying::everything),
    rule("DL4000", Error, general::maintainer),
    rule("DL4001", Warning, commands::wget_and_curl),
    rule("DL4003", Warning, order::one_cmd),
    rule("DL4004", Error, order::one_entrypoint),
    rule("DL4005", Warning, commands::links_shell),
    rule("DL4006", Warning, shells::pipefail),
    rule("K1001", Warning, kiln::comment_as_argument),
    rule("K1002", Warning, kiln::glued_alternatives),
    rule("K1003", Warning, kiln::unused_stage),
    rule("K2001", Info, kiln::sources_before_dependencies),
    rule("K2002", Info, kiln::recursive_change),
    rule("K2003", Info, kiln::removed_later),
    rule("K3001", Warning, kiln::no_verification),
];
