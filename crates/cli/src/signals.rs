//! Ctrl-C and its relatives: the first one asks the work to stop, the second one does not ask.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use kiln_build::Cancel;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::failure::{Context as _, Failure};

/// Watches for signals.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt {
    /// What work looks at.
    pub(crate) cancel: Arc<Cancel>,
    signal: Arc<AtomicI32>,
}

impl Interrupt {
    /// From now on signals cancel instead of killing.
    pub(crate) fn watch() -> Result<Self, Failure> {
        let cancel = Arc::new(Cancel::new().or_internal(|| "cannot make an event descriptor".to_owned())?);
        let interrupt = Self {
            cancel,
            signal: Arc::new(AtomicI32::new(0)),
        };
        let mut signals =
            Signals::new([SIGINT, SIGTERM, SIGHUP]).or_internal(|| "cannot watch for signals".to_owned())?;
        let watcher = interrupt.clone();
        let run = move || signals.forever().for_each(|signal| watcher.take(signal));
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(run)
            .or_internal(|| "cannot start a thread".to_owned())?;
        Ok(interrupt)
    }

    fn take(&self, signal: i32) {
        let before = self.signal.swap(signal, Ordering::SeqCst);
        if before == 0 {
            self.cancel.cancel();
            return;
        }
        crate::terminal::restore();
        // The live view may have hidden the cursor. Steps die with this process (their sandbox sees to that).
        let mut err = std::io::stderr();
        let _nobody_looks = err.write_all(b"\x1b[?25h\nkilled\n");
        // Whatever hangs is not waited for.
        std::process::exit(128 + signal);
    }

    /// Whether a signal came. The token alone does not tell: a build cancels itself when a step fails.
    pub(crate) fn came(&self) -> bool {
        self.signal.load(Ordering::SeqCst) != 0
    }

    /// The exit code of a process that was asked to stop.
    pub(crate) fn exit_code(&self) -> u8 {
        match self.signal.load(Ordering::SeqCst) {
            0 => crate::failure::INTERRUPTED,
            signal => u8::try_from(128 + signal).unwrap_or(crate::failure::INTERRUPTED),
        }
    }
}
