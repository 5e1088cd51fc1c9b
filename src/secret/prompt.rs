//! Asking a person, on a terminal and without echo.

use std::io::{ErrorKind, IsTerminal};

use crate::error::{Error, Kind, Result};

/// Asks on the controlling terminal.
///
/// # Errors
/// Kind `Config` when nobody can answer (stdin is no terminal, as under cron) or the answer is empty; `Interrupted` at
/// Ctrl-C.
pub(super) fn ask(what_for: &str) -> Result<String> {
    if !std::io::stdin().is_terminal() {
        return Err(Error::new(
            Kind::Config,
            format!("The password for {what_for} is not configured, and without a terminal nobody can be asked"),
        )
        .hint(
            "Name a source in the configuration, such as `password = { command = \"pass show mail\" }`, or set \
             $MAILTIDE_PASSWORD.",
        ));
    }
    match rpassword::prompt_password(format!("Password for {what_for}: ")) {
        Ok(text) if text.is_empty() => Err(Error::new(Kind::Config, "No password was typed")),
        Ok(text) => Ok(text),
        Err(e) if e.kind() == ErrorKind::Interrupted => Err(Error::new(Kind::Interrupted, "Interrupted")),
        Err(e) => Err(Error::new(Kind::Config, "The terminal cannot be asked for a password").because(e)),
    }
}
