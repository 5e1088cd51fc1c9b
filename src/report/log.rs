//! The log (`--verbose`, and warnings at any time) as lines on standard error, above the bars.

use std::io::{self, Write};

use log::{LevelFilter, Record};

use super::progress::Bars;
use crate::error::safe_text;

/// Shows this program's own log records up to `level` on standard error; a second time does nothing.
///
/// Records of libraries are not shown: one that logs what goes over the wire could show a password. What a server said
/// may stand in a record, so each becomes one safe line.
pub fn start_log(level: LevelFilter) {
    let above_bars = env_logger::Target::Pipe(Box::new(AboveBars(Bars::on_terminal())));
    let mut builder = env_logger::Builder::new();
    builder.filter_module("mailtide", level).target(above_bars);
    builder.format(|out, record| writeln!(out, "{}", line(record)));
    // It is started already, then.
    let _ = builder.try_init();
}

fn line(record: &Record<'_>) -> String {
    format!("{}: {}", record.level().as_str().to_lowercase(), safe_text(&record.args().to_string(), 2000))
}

/// Standard error while the terminal's bars are lifted.
struct AboveBars(Bars);

impl Write for AboveBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lifted(|| io::stderr().write(bytes))
    }
    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_safe_line() {
        let text = |args| line(&Record::builder().level(log::Level::Warn).args(args).build());
        assert_eq!(text(format_args!("said \u{1b}[2J\r\nOK")), "warn: said \\u{1b}[2J\\r\\nOK");
    }
}
