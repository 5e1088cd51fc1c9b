//! Durations as people write them: `30s`, `5m`, `1h 30m`.

use std::time::Duration;

/// Reads a duration; a bare number is refused, because nobody can tell its unit.
///
/// # Errors
/// A sentence that says what would do.
pub fn parse(text: &str) -> Result<Duration, String> {
    let signed: Result<jiff::SignedDuration, _> = text.trim().parse();
    signed.ok().and_then(|d| Duration::try_from(d).ok()).ok_or_else(|| {
        format!("`{}` has to be a number with a unit, such as `30s`, `5m` or `1h 30m`", crate::error::safe_line(text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_required() {
        assert_eq!(parse("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        for bad in ["30", "", "-5s", "soon", "5 parsecs"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
