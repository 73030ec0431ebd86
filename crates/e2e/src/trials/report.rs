//! `kiln report`: the page in a browser.

use anyhow::{Result, ensure};

use super::{Trial, trial};
use crate::browser::Browser;
use crate::stage::Stage;

pub(super) const TRIALS: &[Trial] = &[
    trial("report::page", page),
    trial("report::hostile_names", hostile_names),
];

const DOCKERFILE: &str = "\
FROM busybox:1.35 AS one
RUN mkdir -p /a/b && head -c 300000 /dev/zero > /a/b/large && head -c 5000 /dev/zero > /a/small
FROM busybox:1.35
COPY --from=one /a /opt/a
RUN rm /opt/a/small
";

/// Widths of screens: a desktop's, a telephone's.
const SCREENS: [(u32, u32); 2] = [(1280, 900), (360, 640)];

/// A browser, unless the machine has none: that is said, and never passed over where the tests run for all.
fn browser(stage: &Stage) -> Result<Option<Browser>> {
    let Some(program) = Browser::find() else {
        ensure!(
            std::env::var_os("CI").is_none(),
            "there is no browser: chromium-headless-shell is one"
        );
        eprintln!("SKIPPED: there is no browser on this machine (chromium-headless-shell is one)");
        return Ok(None);
    };
    Browser::start(stage, program).map(Some)
}

fn page(stage: &Stage) -> Result<()> {
    stage.write("Dockerfile", DOCKERFILE)?;
    stage.shell_ok(
        "kiln build -q -t reported . && echo 'RUN echo more > /more' >> Dockerfile && kiln build -q -t reported .",
    )?;
    stage.shell_ok("kiln report reported -o ../out/report.html")?;
    // Everything is in it.
    stage.shell_ok("! grep -E '(src|href)=\"?(https?:)?//' ../out/report.html")?;
    let Some(mut browser) = browser(stage)? else {
        return Ok(());
    };
    let file = stage.path("out/report.html");
    for is_dark in [false, true] {
        for (columns, rows) in SCREENS {
            browser.open(&file, columns, rows, is_dark)?;
            browser.is_content()?;
            browser.holds("document.title === 'reported · Kiln report'")?;
            // Nothing is wider than the screen.
            browser.holds("document.documentElement.scrollWidth <= innerWidth")?;
            let light = "Number(/\\d+/.exec(getComputedStyle(document.body).backgroundColor)[0]) > 128";
            ensure!(browser.ask(light)? == !is_dark);
            drill_down(&mut browser)?;
        }
    }
    sections(&mut browser)?;
    browser.is_content()
}

/// With the mouse, and with keys alone.
fn drill_down(browser: &mut Browser) -> Result<()> {
    let way = "[...document.querySelectorAll('.crumbs button')].map((each) => each.textContent).join('/')";
    let is_at = |browser: &mut Browser, expected: &str| {
        let found = browser.ask(way)?;
        ensure!(found == expected, "{found} {expected}");
        anyhow::Ok(())
    };
    browser.holds("document.querySelectorAll('.tile').length >= 2")?;
    is_at(browser, "image")?;
    let tile = |name: &str| {
        format!("[...document.querySelectorAll('.tile')].find((each) => each.title.startsWith('{name}, '))")
    };
    browser.ask(&format!("{}.click()", tile("opt")))?;
    is_at(browser, "image/opt")?;
    // The first tile has the focus now: Enter opens it, and what is in it.
    browser.press("Enter")?;
    is_at(browser, "image/opt/a")?;
    browser.press("Enter")?;
    is_at(browser, "image/opt/a/b")?;
    browser.holds("document.activeElement.title === 'large, 300kB, 1 file'")?;
    // A file opens nothing.
    browser.press("Enter")?;
    is_at(browser, "image/opt/a/b")?;
    browser.press("Escape")?;
    browser.press("Escape")?;
    is_at(browser, "image/opt")?;
    browser.ask("document.querySelector('.crumbs button').click()")?;
    is_at(browser, "image")?;
    browser.press("ArrowRight")?;
    browser.holds("document.activeElement === document.querySelectorAll('.tile')[1]")?;
    // By layers: the one that was copied has the file that is gone now.
    browser.ask("document.querySelector('[data-kind=layers]').click()")?;
    browser
        .ask("[...document.querySelectorAll('.tile')].find((each) => each.title.includes('COPY /a /opt/a')).click()")?;
    browser.press("Enter")?;
    browser.press("Enter")?;
    browser.holds("[...document.querySelectorAll('.list .name')].some((each) => each.textContent === 'small')")?;
    browser
        .ask("document.querySelector('[data-kind=directories]').click()")
        .map(drop)
}

fn sections(browser: &mut Browser) -> Result<()> {
    let text = |id: &str| format!("document.getElementById('{id}').textContent");
    for (section, parts) in [
        ("waste", &["deleted later", "/opt/a/small", "5kB"][..]),
        ("build", &["RUN mkdir -p /a/b", "cached", "RUN echo more"]),
        ("trend", &["build 1", "build 2"]),
        ("checks", &["PASS"]),
        ("layers", &["COPY /a /opt/a"]),
    ] {
        for part in parts {
            browser.holds(&format!("{}.includes('{part}')", text(section)))?;
        }
    }
    // The user's choice wins over the system's.
    browser.ask("document.getElementById('theme').click()")?;
    browser.holds("document.documentElement.dataset.theme === 'light'")?;
    browser.holds("Number(/\\d+/.exec(getComputedStyle(document.body).backgroundColor)[0]) > 128")?;
    // Whatever has a role that needs a name has one.
    browser.holds(
        "[...document.querySelectorAll('button, input')].every((each) => each.textContent.trim() || each.ariaLabel)",
    )
}

/// Names that would be markup, scripts, or the end of either.
fn hostile_names(stage: &Stage) -> Result<()> {
    let names = [
        "<script>window.hurt=1<",
        "</script><script>window.hurt=2<",
        "\"><img src=x onerror=window.hurt=3>",
        "<!--",
        "`${window.hurt=4}`",
        "&lt;b&gt;",
        "a'b",
    ];
    for name in names {
        // `/` ends a name: what is before it is a directory.
        stage.write(&format!("evil/{name}"), "0123456789")?;
    }
    stage.write(
        "Dockerfile",
        "FROM scratch\nCOPY evil /evil\nLABEL x=\"</script><script>window.hurt=5</script>\"\nCMD [\"<img src=x onerror=window.hurt=6>\"]\n",
    )?;
    stage.shell_ok("kiln build -q -t evil . && kiln report evil -o ../out/report.html")?;
    let text = stage.shell_ok("cat ../out/report.html")?;
    ensure!(text.matches("<script").count() == 2 && text.matches("</script").count() == 2);
    let Some(mut browser) = browser(stage)? else {
        return Ok(());
    };
    browser.open(&stage.path("out/report.html"), 800, 600, false)?;
    browser.holds("document.scripts.length === 2 && document.images.length === 0")?;
    browser.ask("document.querySelector('.tile').click()")?;
    for name in names {
        let first = name.split('/').next().unwrap_or(name);
        let first = serde_json::to_string(first)?;
        browser.holds(&format!(
            "[...document.querySelectorAll('.list .name')].some((each) => each.textContent === {first})"
        ))?;
    }
    browser.holds("window.hurt === undefined")?;
    browser.is_content()
}
