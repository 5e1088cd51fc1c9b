//! The binary: parse, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(mailtide::cli::run(std::env::args_os()).code())
}
