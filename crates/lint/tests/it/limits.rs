//! Large files are looked at in time that grows as they do.

use kiln_lint::{Config, lint};
use rustix::time::{ClockId, clock_gettime};

/// How much larger the large ones are.
const TIMES: usize = 4;

/// What is linear takes `TIMES` as long, what is quadratic sixteen times. Allocation and caches have their part.
const MOST: f64 = 9.0;

/// Less than this is no measurement, in seconds.
const SHORTEST: f64 = 0.02;

/// The processor's time that it takes, in seconds: what else the machine does is not in it.
fn time(text: &str) -> f64 {
    let now = || {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
    };
    let began = now();
    lint(text, &Config::default());
    now() - began
}

/// Compares a text of so many parts with one of a quarter.
fn grows(parts: usize, text: impl Fn(usize) -> String) {
    let (small, large) = (text(parts / TIMES), text(parts));
    let (small, large_time) = (time(&small).max(SHORTEST), time(&large));
    assert!(
        large_time < MOST * small,
        "{small} s and {large_time} s for {TIMES} times as much: {large:.60}"
    );
}

#[test]
fn many_of_everything() {
    grows(20_000, |count| {
        let pairs: Vec<String> = (0..count).map(|n| format!(" \\\n A{n}=$B{n}")).collect();
        format!("FROM a\nENV{}\n", pairs.concat())
    });
    for (part, count) in [
        ("yum install -y a && \\\n", 20_000),
        ("curl -O https://a.b/c.tar.gz | sh && \\\n", 10_000),
    ] {
        grows(count, |count| format!("FROM a\nRUN {} true\n", part.repeat(count)));
    }
    for (line, count) in [
        ("COPY a.tar /x/\nRUN tar -xf b.tar\n", 2_000),
        ("ARG A=${A:+\nRUN yum install -y a-$A\n", 2_000),
        ("RUN a | b\n", 10_000),
        ("RUN sudo a\n", 10_000),
        ("WORKDIR x\n", 10_000),
        ("RUN cd x && a\nCOPY a b\n", 10_000),
        ("RUN npm ci\n", 4_000),
        ("ARG B\nRUN yum install -y a-${B}\n", 4_000),
        ("FROM a AS b\nCOPY --from=c a b\n", 4_000),
    ] {
        grows(count, |count| format!("FROM a\n{}", line.repeat(count)));
    }
    for (part, count) in [("(", 60_000), ("((a", 10_000), ("$((a", 10_000)] {
        grows(count, |count| format!("FROM a\nRUN {}\n", part.repeat(count)));
    }
    grows(2_000, |count| {
        let functions: Vec<String> = (0..count).map(|n| format!("f{n}() {{ x=$y; }};")).collect();
        format!("FROM a\nRUN {}\n", functions.concat())
    });
    for (open, close) in [
        ("if a; then ", "; fi"),
        ("case x in b) ", ";; esac"),
        ("echo \"$(", ")\""),
    ] {
        for depth in [60, 2_000] {
            grows(depth, |depth| {
                format!("FROM a\nRUN {}a{}\n", open.repeat(depth), close.repeat(depth))
            });
        }
    }
}
