//! `kiln explore` in a terminal: tmux plays the terminal, and tells what is on it.

use anyhow::{Result, ensure};

use super::{Trial, trial};
use crate::running::poll;
use crate::stage::Stage;

pub(super) const TRIALS: &[Trial] = &[
    trial("explore::keys", keys),
    trial("explore::signals", signals),
    trial("explore::no_terminal", no_terminal),
];

const DOCKERFILE: &str = "\
FROM busybox:1.35
COPY big /data/big
RUN rm /data/big && echo hello > /data/small
COPY links /links
";

/// A terminal of that many columns and rows, with a shell in it. It is gone with this.
struct Terminal<'s> {
    stage: &'s Stage,
}

impl<'s> Terminal<'s> {
    fn start(stage: &'s Stage, columns: u32, rows: u32) -> Result<Self> {
        stage.shell_ok(&format!(
            "env -u NO_COLOR TERM=xterm-256color LC_ALL=C.UTF-8 PS1='ready ' \
             tmux -S ../tmp/terminal -f /dev/null new-session -d -x {columns} -y {rows} 'exec sh'"
        ))?;
        Ok(Self { stage })
    }

    fn tmux(&self, arguments: &str) -> Result<String> {
        self.stage.shell_ok(&format!("tmux -S ../tmp/terminal {arguments}"))
    }

    fn types(&self, keys: &str) -> Result<()> {
        self.tmux(&format!("send-keys {keys}")).map(drop)
    }

    fn shows(&self, part: &str) -> Result<String> {
        let mut last = String::new();
        poll(&format!("the terminal shows {part:?}"), || {
            last = self.tmux("capture-pane -p")?;
            Ok(last.contains(part).then_some(()))
        })
        .map_err(|error| error.context(last.clone()))?;
        Ok(last)
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        let _may_have_ended = self.tmux("kill-server");
    }
}

fn image(stage: &Stage) -> Result<()> {
    stage.write("Dockerfile", DOCKERFILE)?;
    stage.write("big", "x".repeat(500_000))?;
    stage.write("links/one", "first\nsecond\n")?;
    stage.shell_ok("kiln build -q -t explored .").map(drop)
}

fn keys(stage: &Stage) -> Result<()> {
    image(stage)?;
    let terminal = Terminal::start(stage, 100, 24)?;
    terminal.types("'kiln explore -f Dockerfile explored; echo ended with $?' Enter")?;
    let screen = terminal.shows("COPY links /links")?;
    ensure!(screen.contains("LAYERS") && screen.contains("+ d"), "{screen}");
    // The layer below deletes what the one before brought.
    terminal.types("Up")?;
    terminal.shows("changes in layer 5")?;
    terminal.types("t")?;
    let screen = terminal.shows("without unmodified")?;
    ensure!(
        screen.contains("- -rw") && screen.contains("500kB      big"),
        "{screen}"
    );
    // The line of the Dockerfile.
    terminal.types("d")?;
    terminal.shows("3  RUN rm /data/big")?;
    terminal.types("Escape")?;
    terminal.shows("changes in layer 5")?;
    // Waste, and where it is.
    terminal.types("w")?;
    terminal.shows("deleted later")?;
    terminal.types("Enter")?;
    terminal.shows("changes in layer 4")?;
    // A file of another layer, found, shown and extracted.
    terminal.types("t '>' '>' /one Enter")?;
    terminal.shows("13B      one")?;
    terminal.types("Enter")?;
    let screen = terminal.shows("second")?;
    ensure!(screen.contains("/links/one"), "{screen}");
    terminal.types("q e C-u ../out Enter")?;
    terminal.shows("wrote ../out/one")?;
    ensure!(stage.shell_ok("cat ../out/one")? == "first\nsecond\n");
    // A terminal that becomes small, and large again.
    terminal.tmux("resize-window -x 40 -y 10")?;
    terminal.shows("FILES")?;
    terminal.tmux("resize-window -x 120 -y 40")?;
    terminal.shows("made in")?;
    // The screen of before comes back, and the shell's terminal works.
    terminal.types("C-c")?;
    let screen = terminal.shows("ended with 0")?;
    ensure!(!screen.contains("LAYERS"), "{screen}");
    terminal.types("'stty -a | tr \" ;\" \"\\n\" | grep -x -e -icanon -e -echo || echo as usual' Enter")?;
    terminal.shows("\nas usual").map(drop)
}

fn signals(stage: &Stage) -> Result<()> {
    image(stage)?;
    let terminal = Terminal::start(stage, 80, 24)?;
    for (signal, code) in [("TERM", 143), ("HUP", 129)] {
        terminal.types("clear Enter")?;
        let start = "(sh -c \"echo \\$\\$ > ../tmp/id; exec kiln explore explored\"); echo ended with $?";
        terminal.types(&format!("'{start}' Enter"))?;
        terminal.shows("LAYERS")?;
        stage.shell_ok(&format!("kill -{signal} $(cat ../tmp/id)"))?;
        let screen = terminal.shows(&format!("ended with {code}"))?;
        ensure!(!screen.contains("LAYERS"), "{screen}");
        terminal.types("'stty -a | tr \" ;\" \"\\n\" | grep -x -e -icanon -e -echo || echo as usual' Enter")?;
        terminal.shows("\nas usual")?;
    }
    Ok(())
}

fn no_terminal(stage: &Stage) -> Result<()> {
    let output = stage.shell("kiln explore nothing < /dev/null")?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(2), "{text}");
    ensure!(text.contains("needs a terminal") && text.contains("hint: "), "{text}");
    Ok(())
}
