//! Large files are looked at in time that grows as they do.

use std::time::Duration;

use kiln_lint::{Config, lint};
use rustix::time::{ClockId, clock_gettime};

/// How much larger the large ones are.
const TIMES: usize = 4;

/// What is linear takes `TIMES` as long, what is quadratic sixteen times. Allocation and caches have their part.
const MOST: u32 = 9;

/// Less than this is no measurement.
const SHORTEST: Duration = Duration::from_millis(20);

/// The processor's time that it takes: what else the machine does is not in it.
fn time(text: &str) -> Duration {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
    let began = now();
    lint(text, &Config::default());
    now().saturating_sub(began)
}

/// Compares a text of so many parts, or more, with one that is so many times larger.
fn grows(mut parts: usize, text: impl Fn(usize) -> String) {
    let most = parts * 16;
    // The first time is longer.
    time(&text(parts));
    let small = loop {
        let small = time(&text(parts));
        if small >= SHORTEST || parts >= most {
            break small.max(SHORTEST);
        }
        parts *= 2;
    };
    let text = text(parts * TIMES);
    let large = time(&text);
    assert!(
        large < small * MOST,
        "{small:?} and {large:?} for {TIMES} times as much, {parts} at first: {text:.60}"
    );
}

#[test]
fn many_of_everything() {
    grows(5_000, |count| {
        let pairs: Vec<String> = (0..count).map(|n| format!(" \\\n A{n}=$B{n}")).collect();
        format!("FROM a\nENV{}\n", pairs.concat())
    });
    for (part, count) in [
        ("yum install -y a && \\\n", 5_000),
        ("curl -O https://a.b/c.tar.gz | sh && \\\n", 2_000),
    ] {
        grows(count, |count| format!("FROM a\nRUN {} true\n", part.repeat(count)));
    }
    for (line, count) in [
        ("COPY a.tar /x/\nRUN tar -xf b.tar\n", 500),
        ("ARG A=${A:+\nRUN yum install -y a-$A\n", 500),
        ("RUN a | b\n", 2_000),
        ("RUN sudo a\n", 2_000),
        ("WORKDIR x\n", 2_000),
        ("RUN cd x && a\nCOPY a b\n", 2_000),
        ("RUN npm ci\n", 1_000),
        ("ARG B\nRUN yum install -y a-${B}\n", 1_000),
        ("FROM a AS b\nCOPY --from=c a b\n", 1_000),
    ] {
        grows(count, |count| format!("FROM a\n{}", line.repeat(count)));
    }
    for (part, count) in [("(", 10_000), ("((a", 2_000), ("$((a", 2_000)] {
        grows(count, |count| format!("FROM a\nRUN {}\n", part.repeat(count)));
    }
    grows(500, |count| {
        let functions: Vec<String> = (0..count).map(|n| format!("f{n}() {{ x=$y; }};")).collect();
        format!("FROM a\nRUN {}\n", functions.concat())
    });
    grows(500, |count| {
        let pairs: Vec<String> = (0..count).map(|n| format!(" A{n}=b")).collect();
        format!("FROM a\nENV{}\n{}", pairs.concat(), "RUN a $A1\n".repeat(count))
    });
}

/// However deep it is: the test's own end is what is tested.
#[test]
fn what_nests_comes_to_an_end() {
    for (open, close) in [
        ("if a; then ", "; fi"),
        ("case x in b) ", ";; esac"),
        ("echo \"$(", ")\""),
    ] {
        for depth in [60, 2_000] {
            let script = format!("{}a{}", open.repeat(depth), close.repeat(depth));
            lint(&format!("FROM a\nRUN {script}\n"), &Config::default());
        }
    }
}
