//! "Did you mean": the nearest of the known words.

/// The known word nearest to `typed`, if it is near enough to be meant.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_lowercase().replace('_', "-");
    let score = |word: &str| strsim::jaro_winkler(&typed, &word.to_lowercase());
    let best = known.into_iter().map(|word| (score(word), word)).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 > 0.8).then_some(best.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let known = ["host", "port", "tls", "user", "password", "ca-file", "connections"];
        for (typed, meant) in [
            ("hots", Some("host")),
            ("Host", Some("host")),
            ("passwort", Some("password")),
            ("ca_file", Some("ca-file")),
            ("conections", Some("connections")),
            ("zebra", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, known), meant, "{typed}");
        }
    }
}
