//! `ShellCheck`'s rules, for the scripts of RUN.

use super::{Found, first_line};
use crate::view::View;

/// What the scripts were found to have under the code of the rule that asks.
pub(super) fn said(view: &View<'_>, found: &mut Found<'_>) {
    let code = found.code;
    for (number, remark) in view.remarks().iter().filter(|(_, remark)| remark.code == code) {
        let item = &view.items[*number];
        let place = item.script.as_ref().and_then(|run| run.place(remark.range.clone()));
        let span = place.unwrap_or_else(|| first_line(view, item));
        found.say(item, span, remark.message.clone());
    }
}
