use super::super::screen::Screen;
use super::super::screen::tests::Terminal;
use super::*;
use crate::progress::testing::{added, cached, canceled, done, failed, log, progress, raw_log, started, task};

const ASCII: Style = Style {
    colours: false,
    unicode: false,
};

/// Draws after every step of the script on a terminal and gives what is on it in the end.
fn render(script: &[(u64, Vec<Event>)], size: (usize, usize), over: bool) -> String {
    let mut view = View::new(ASCII);
    let mut shown = Vec::new();
    let mut terminal = Terminal::new(size.0);
    {
        let mut screen = Screen::new(&mut shown, true);
        let mut now = Duration::ZERO;
        for (at, events) in script {
            now = Duration::from_millis(*at);
            for event in events {
                view.apply(event.clone(), now);
            }
            screen.draw(&view.frame(now, size), size.0);
        }
        if over {
            view.end(now);
            screen.draw(&view.frame(now, size), size.0);
            screen.end();
        }
    }
    terminal.feed(&shown);
    terminal.text()
}

#[test]
fn shows_what_runs_and_folds_what_is_done() {
    let script = [
        (
            0,
            vec![
                task(0, "[1/3] FROM debian"),
                task(1, "[2/3] RUN make"),
                task(2, "[3/3] RUN test"),
            ],
        ),
        (0, vec![cached(0), started(1), started(2)]),
        (500, vec![log(1, "cc a.c\ncc b.c\n"), log(2, "ok 1\r\x1b[2Kok 2")]),
        (1200, vec![]),
    ];
    let expected = " * [1/3] FROM debian             cached
 > [2/3] RUN make                  1.2s
   | cc a.c
   | cc b.c
 > [3/3] RUN test                  1.2s
   | ok 2
 1/3 done, 1 cached, 2 running     1.2s
";
    assert_eq!(render(&script, (40, 24), false), expected);
}

#[test]
fn shows_nothing_as_long_as_there_is_nothing() {
    assert_eq!(render(&[(0, vec![]), (500, vec![])], (40, 24), false), "");
}

#[test]
fn leaves_one_line_each_in_the_end() {
    let script = [
        (0, vec![task(0, "a"), task(1, "b"), task(2, "c"), task(3, "d")]),
        (0, vec![started(0), log(0, "noise\n"), started(1), started(2)]),
        (100, vec![added(0, 61_000, 12_300_000)]),
        (
            200,
            vec![
                failed(1, 200),
                canceled(2),
                canceled(3),
                Event::Notice("mind this".to_owned()),
            ],
        ),
    ];
    let expected = " * a                    +12.3MB   1m01s
 x b                     failed    0.2s
 ! mind this
 - c                           canceled
";
    assert_eq!(render(&script, (40, 24), true), expected);
}

#[test]
fn many_that_were_stopped_are_one_line() {
    let mut events: Vec<Event> = (0..5).map(|id| task(id, "x")).collect();
    events.extend((0..5).map(started));
    events.extend((0..5).map(canceled));
    assert_eq!(
        render(&[(0, events)], (40, 24), true),
        " - 5 steps                     canceled\n"
    );
}

#[test]
fn shows_bytes_of_transfers() {
    let script = [(
        1000,
        vec![
            task(0, "pull debian"),
            started(0),
            progress(0, "aaaa", 1_000_000, Some(2_000_000)),
            progress(0, "bbbb", 2_000_000, Some(2_000_000)),
            progress(0, "cccc", 0, Some(1_000_000)),
        ],
    )];
    let expected = " > pull debian                             3MB / 5MB    0.0s
     aaaa ============............ 1MB / 2MB
     cccc ........................ 0B / 1MB
 0/1 done, 1 running                                    1.0s
";
    assert_eq!(render(&script, (61, 24), false), expected);
}

#[test]
fn shows_what_was_transferred() {
    let script = [(
        0,
        vec![
            task(0, "pull debian"),
            started(0),
            progress(0, "aaaa", 1_000_000, Some(1_000_000)),
            progress(0, "naming", 0, Some(0)),
            done(0, 1200),
        ],
    )];
    assert_eq!(
        render(&script, (40, 24), true),
        " * pull debian              1MB    1.2s\n"
    );
}

#[test]
fn shows_what_is_waited_for() {
    let waiting = Event::Waiting(TaskId(0));
    let script = [(900, vec![task(0, "a"), started(0), waiting.clone()])];
    let expected = " > a               waiting for an image
 0/1 done, 1 running               0.9s
";
    assert_eq!(render(&script, (40, 24), false), expected);
    let script = [(900, vec![task(0, "a"), started(0), waiting]), (1400, vec![started(0)])];
    let expected = " > a                               0.0s
 0/1 done, 1 running               1.4s
";
    assert_eq!(render(&script, (40, 24), false), expected);
}

#[test]
fn shares_rows() {
    assert_eq!(share(10, &[6, 1, 6]), [5, 1, 4]);
    assert_eq!(share(20, &[6, 1, 6]), [6, 1, 6]);
    assert_eq!(share(2, &[6, 6, 6]), [1, 1, 0]);
    assert_eq!(share(0, &[6]), [0]);
    assert_eq!(share(5, &[]), [0_usize; 0]);
}

#[test]
fn names_are_one_line_and_digests_short() {
    let digest = "a".repeat(64);
    for (name, shown) in [
        (
            format!("FROM x@sha256:{digest} AS y"),
            "FROM x@sha256:aaaaaaaaaaaa AS y",
        ),
        ("RUN a && \n\t  b\u{1b}[2J".to_owned(), "RUN a && b"),
        ("COPY x@sha256:ä /".to_owned(), "COPY x@sha256:ä /"),
        ("x@sha256:".to_owned(), "x@sha256:"),
    ] {
        assert_eq!(short(&name), shown);
    }
}

#[test]
fn never_draws_more_rows_than_there_are() {
    let mut events: Vec<Event> = (0..30).map(|id| task(id, "x")).collect();
    events.extend((0..30).flat_map(|id| [started(id), log(id, "a\nb\nc\nd\ne\nf\ng\nh\n")]));
    for rows in 1..60 {
        let mut view = View::new(ASCII);
        for event in &events {
            view.apply(event.clone(), Duration::ZERO);
        }
        let frame = view.frame(Duration::ZERO, (40, rows));
        assert!(frame.live.len() < rows.max(3), "{rows}: {}", frame.live.len());
    }
}

#[test]
fn never_draws_a_line_wider_than_the_terminal() {
    let name = "[build 1/1] RUN a very long command that goes on and 漢字 on".to_owned();
    for columns in 1..100 {
        let mut view = View::new(Style {
            colours: false,
            unicode: true,
        });
        let events = [
            task(0, &name),
            task(1, &name),
            task(2, &name),
            started(0),
            started(1),
            raw_log(0, b"\x1b[31mlong \xff output 0123456789 0123456789\t0123456789"),
            progress(1, "part", 5, Some(10)),
            done(2, 10),
        ];
        for event in events {
            view.apply(event, Duration::ZERO);
        }
        let frame = view.frame(Duration::ZERO, (columns, 24));
        for line in frame.live.iter().chain(&frame.finished) {
            assert!(line.width() <= columns.saturating_sub(1).max(1), "{columns}: {line:?}");
        }
    }
}

#[test]
fn clocks() {
    for (millis, text) in [
        (0, "0.0s"),
        (350, "0.3s"),
        (59_990, "59.9s"),
        (65_000, "1m05s"),
        (7_380_000, "2h03m"),
    ] {
        assert_eq!(clock(Duration::from_millis(millis)), text);
    }
}
