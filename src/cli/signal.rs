//! Ctrl-C and SIGTERM: the first asks the run to end between two facts, the second ends the process at once. A file that
//! outgrows `ulimit -f` ends nothing: the write fails.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;

use crate::error::{Error, Kind, Result};
use crate::exit::Exit;
use crate::stop::Stop;

/// What stops a run: a signal from now on, or `deadline` from now.
///
/// # Errors
/// Kind `Config` when the system takes no signal handler.
pub(super) fn stop(deadline: Option<Duration>) -> Result<Stop> {
    let refused = |e| Error::new(Kind::Config, "Signals cannot be handled").because(e);
    let signalled = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the second signal finds the flag that the first has set.
        flag::register_conditional_shutdown(signal, Exit::Interrupted.code().into(), Arc::clone(&signalled))
            .and_then(|_| flag::register(signal, Arc::clone(&signalled)))
            .map_err(refused)?;
    }
    // Handled, not ignored: a password command would inherit that, and gets back what is usual.
    flag::register(SIGXFSZ, Arc::default()).map_err(refused)?;
    Ok(Stop::new(signalled, deadline))
}
