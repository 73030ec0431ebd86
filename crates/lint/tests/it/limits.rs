//! Large files are looked at in time that grows as they do.

use std::time::{Duration, Instant};

use kiln_lint::{Config, lint};

/// Far more than is needed, far less than what would multiply takes.
const LONGEST: Duration = Duration::from_secs(60);

fn check(text: &str) {
    let began = Instant::now();
    lint(text, &Config::default());
    assert!(began.elapsed() < LONGEST, "{:?}: {:.60}", began.elapsed(), text);
}

#[test]
fn many_of_everything() {
    let pairs: Vec<String> = (0..20_000).map(|n| format!(" \\\n A{n}=$B{n}")).collect();
    check(&format!("FROM a\nENV{}\n", pairs.concat()));
    let installs = "yum install -y a && \\\n".repeat(20_000);
    check(&format!("FROM a\nRUN {installs} yum clean all\n"));
    let fetches = "curl -O https://a.b/c.tar.gz | sh && \\\n".repeat(10_000);
    check(&format!("FROM a\nRUN {fetches} true\n"));
    check(&format!(
        "FROM a\n{}",
        "COPY a.tar /x/\nRUN tar -xf b.tar\n".repeat(2_000)
    ));
    check(&format!(
        "FROM a\n{}",
        "ARG A=${A:+\nRUN yum install -y a-$A\n".repeat(2_000)
    ));
    for line in [
        "RUN a | b\n",
        "RUN sudo a\n",
        "WORKDIR x\n",
        "RUN cd x && a\nCOPY a b\n",
    ] {
        check(&format!("FROM a\n{}", line.repeat(10_000)));
    }
    for line in [
        "RUN npm ci\n",
        "ARG B\nRUN yum install -y a-${B}\n",
        "FROM a AS b\nCOPY --from=c a b\n",
    ] {
        check(&format!("FROM a\n{}", line.repeat(4_000)));
    }
    check(&format!("FROM a\nRUN {}\n", "(".repeat(60_000)));
    check(&format!("FROM a\nRUN {}\n", "((a".repeat(10_000)));
    check(&format!("FROM a\nRUN {}\n", "$((a".repeat(10_000)));
    let functions: Vec<String> = (0..2_000).map(|n| format!("f{n}() {{ x=$y; }};")).collect();
    check(&format!("FROM a\nRUN {}\n", functions.concat()));
    for (open, close) in [
        ("if a; then ", "; fi"),
        ("case x in b) ", ";; esac"),
        ("echo \"$(", ")\""),
    ] {
        for depth in [60, 2_000] {
            let script = [open.repeat(depth), "a".to_owned(), close.repeat(depth)].concat();
            check(&format!("FROM a\nRUN {script}\n"));
        }
    }
}
