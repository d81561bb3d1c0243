//! A token that clients have to know (RFC 6750).

use anyhow::{Result, ensure};
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use std::fmt;
use subtle::ConstantTimeEq as _;

/// The least length: a token is no word that somebody can guess.
const SHORTEST: usize = 16;
/// The most, which a header has room for.
const LONGEST: usize = 1_024;
/// How a client says that it has one.
const SCHEME: &str = "bearer";

/// The token.
pub(in crate::run::agent::metrics) struct Token(Vec<u8>);

impl fmt::Debug for Token {
    /// Not what it is.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token")
    }
}

impl Token {
    /// The first line of a file, without white space around it.
    ///
    /// # Errors
    /// When it is too short, too long, or has characters that no header may have.
    pub(super) fn parse(file: &[u8]) -> Result<Self> {
        let line = file.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii();
        ensure!(
            (SHORTEST..=LONGEST).contains(&line.len()),
            "its first line must have {SHORTEST} to {LONGEST} characters"
        );
        ensure!(line.iter().all(u8::is_ascii_graphic), "its first line must be visible ASCII without spaces");
        Ok(Self(line.to_vec()))
    }

    /// Whether a request has it. How long that takes says nothing about the token but its length.
    pub(in crate::run::agent::metrics) fn is_in(&self, headers: &HeaderMap) -> bool {
        let mut all = headers.get_all(AUTHORIZATION).iter();
        let (Some(only), None) = (all.next(), all.next()) else { return false };
        let Some((scheme, token)) = only.to_str().ok().and_then(|text| text.split_once(' ')) else {
            return false;
        };
        scheme.eq_ignore_ascii_case(SCHEME) && bool::from(token.trim().as_bytes().ct_eq(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::Token;
    use hyper::HeaderMap;
    use hyper::header::{AUTHORIZATION, HeaderValue};

    const TOKEN: &str = "0123456789abcdef";

    fn headers(values: &[&str]) -> HeaderMap {
        let values = values.iter().map(|value| (AUTHORIZATION, HeaderValue::from_str(value).unwrap()));
        let mut headers = HeaderMap::new();
        for (name, value) in values {
            headers.append(name, value);
        }
        headers
    }

    #[test]
    fn the_first_line_is_the_token() {
        for file in [TOKEN.to_owned(), format!("{TOKEN}\n"), format!("  {TOKEN}\r\nmore\n")] {
            assert_eq!(Token::parse(file.as_bytes()).unwrap().0, TOKEN.as_bytes());
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let long = "x".repeat(1_025);
        for file in ["", "\n0123456789abcdef", "short", "0123456789 abcdef", "0123456789abcdé", &long] {
            assert!(Token::parse(file.as_bytes()).is_err(), "{file}");
        }
    }

    #[test]
    fn only_who_says_it_once_and_wholly_has_it() {
        let token = Token::parse(TOKEN.as_bytes()).unwrap();
        let says = |values: &[&str]| token.is_in(&headers(values));
        let right = format!("Bearer {TOKEN}");
        for good in [right.clone(), format!("bearer {TOKEN}"), format!("BEARER  {TOKEN} ")] {
            assert!(says(&[&good]), "{good}");
        }
        for bad in [
            "",
            "Bearer",
            "Bearer ",
            TOKEN,
            "Basic 0123456789abcdef",
            "Bearer 0123456789abcde",
            "Bearer 0123456789abcdeg",
        ] {
            assert!(!says(&[bad]), "{bad}");
        }
        assert!(!says(&[]) && !says(&[&right, &right]));
        assert_eq!(format!("{token:?}"), "Token");
    }
}
