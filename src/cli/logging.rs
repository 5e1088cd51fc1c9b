//! What `--verbose` and `--quiet` let through of the log, on standard error.
//!
//! Only this program's own lines: a library that logs what goes over the wire could show a password.

use log::LevelFilter;

use super::Global;

/// Starts the log; once a process, and a second time does nothing.
pub(super) fn start(global: &Global) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => LevelFilter::Error,
        (false, 0) => LevelFilter::Warn,
        (false, 1) => LevelFilter::Info,
        (false, 2) => LevelFilter::Debug,
        (false, _) => LevelFilter::Trace,
    };
    let _ = env_logger::Builder::new().filter_module("mailtide", level).try_init();
}
