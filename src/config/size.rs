//! Sizes as people write them: `50M`, `1.5 GB`, `512 KiB`.

/// Reads a size in octets. `k`, `M`, `G` count in thousands, `Ki`, `Mi`, `Gi` in 1024s; a `B` may follow.
///
/// # Errors
/// A sentence that says what would do.
pub fn parse(text: &str) -> Result<u64, String> {
    let trimmed = text.trim();
    let digits = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(digits);
    let unit = unit.trim();
    let unit = unit.strip_suffix(['B', 'b']).unwrap_or(unit).to_ascii_lowercase();
    let factor = match unit.as_str() {
        "" => 1.0,
        "k" => 1e3,
        "m" => 1e6,
        "g" => 1e9,
        "ki" => 1024.0,
        "mi" => 1024.0 * 1024.0,
        "gi" => 1024.0 * 1024.0 * 1024.0,
        _ => 0.0,
    };
    let octets = number.parse::<f64>().unwrap_or_default() * factor;
    if (1.0..1e18).contains(&octets) {
        return Ok(octets.round() as u64);
    }
    Err(format!(
        "`{}` has to be a number of octets, such as 500000, or with a unit: \"20M\"",
        crate::error::safe_line(text)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_or_are_octets() {
        for (text, octets) in
            [("500", 500), ("20M", 20_000_000), ("1.5 GB", 1_500_000_000), ("512KiB", 524_288), ("2 mi", 2_097_152)]
        {
            assert_eq!(parse(text), Ok(octets), "{text}");
        }
        for bad in ["", "0", "-5M", "20 T", "M", "1.2.3k", "many"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
