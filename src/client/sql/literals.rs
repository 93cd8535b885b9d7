//! Statements without the literals in them.
//!
//! In: the text of a statement, and whose dialect it is. Out: the same with a `?` in place of every literal, without
//! comments, and bounded. A text that cannot be read is left out as a whole.
//!
//! What stays is listed, not what goes: words, names in quotes where they can be nothing else, placeholders, and
//! punctuation. Where the settings of a server decide how far a literal goes, the text cannot be read.

use std::panic::{self, AssertUnwindSafe};

use sqlparser::{
    dialect::{Dialect, MsSqlDialect, MySqlDialect, PostgreSqlDialect, SQLiteDialect},
    tokenizer::{Token, TokenWithSpan, Tokenizer, Word},
};

use super::kind::Kind;

/// Characters of a statement that are recorded.
const MAX_STATEMENT: usize = 4_000;
/// Bytes of a text that are looked at.
pub(in crate::client) const MAX_READ: usize = 16 * 1024;

pub(super) fn replace(text: &str, kind: Kind) -> Option<String> {
    let dialect: &dyn Dialect = match kind {
        Kind::MariaDb | Kind::MySql => &MySqlDialect {},
        Kind::MsSql => &MsSqlDialect {},
        Kind::PostgreSql => &PostgreSqlDialect {},
        Kind::Sqlite => &SQLiteDialect {},
        // Oracle has quotes of any character.
        Kind::DuckDb | Kind::Oracle => return None,
    };
    let mut end = text.len().min(MAX_READ);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let read = &text[..end];
    // Whether a backslash escapes a quote is a setting of MySQL's, and was one of PostgreSQL's.
    if ["\\'", "\\\"", "\\`"].iter().any(|escape| read.contains(escape)) {
        return None;
    }
    // Whatever a tokenizer does, it is not worth a panic of the caller.
    let tokens = panic::catch_unwind(AssertUnwindSafe(|| tokens(dialect, read, end < text.len()))).ok()??;
    Some(join(&tokens, kind))
}

/// The tokens of a text, or of the beginning of one that goes on. Its last one may be a part of another then.
fn tokens(dialect: &dyn Dialect, text: &str, goes_on: bool) -> Option<Vec<TokenWithSpan>> {
    let mut tokens = Vec::new();
    let result = Tokenizer::new(dialect, text).tokenize_with_location_into_buf(&mut tokens);
    if goes_on {
        tokens.pop();
        return Some(tokens);
    }
    result.ok().map(|()| tokens)
}

/// The text of tokens, up to the limit and between two of them.
fn join(tokens: &[TokenWithSpan], kind: Kind) -> String {
    let mut text = String::new();
    let mut characters = 0;
    let mut space = false;
    // What touches a literal belongs to it: `1_000`, `0b01`, `1e5`.
    let mut touches_literal = false;
    for TokenWithSpan { token, .. } in tokens {
        if let Token::Whitespace(_) = token {
            space = !text.is_empty();
            touches_literal = false;
            continue;
        }
        let shown = show(token, kind);
        if touches_literal && !space && !matches!(&shown, Some(shown) if is_punctuation(shown)) {
            continue;
        }
        touches_literal = shown.is_none();
        let shown = shown.unwrap_or_else(|| "?".to_owned());
        characters += usize::from(space) + shown.chars().count();
        if characters > MAX_STATEMENT {
            break;
        }
        if std::mem::take(&mut space) {
            text.push(' ');
        }
        text.push_str(&shown);
    }
    text
}

/// A token as it is written, unless it is a literal.
fn show(token: &Token, kind: Kind) -> Option<String> {
    let is_kept = match token {
        // `0b01` is a word to some.
        Token::Word(Word { quote_style: None, value, .. }) => !value.starts_with(|c: char| c.is_ascii_digit()),
        Token::Word(Word { quote_style: Some(quote), .. }) => is_name(*quote, kind),
        Token::DollarQuotedString(_) => false,
        // Money has the same sign elsewhere.
        Token::Placeholder(text) => kind == Kind::PostgreSql && text[1..].bytes().all(|byte| byte.is_ascii_digit()),
        _ => is_punctuation(&token.to_string()),
    };
    is_kept.then(|| token.to_string())
}

/// Whether only a name stands in these quotes, whatever the settings.
fn is_name(quote: char, kind: Kind) -> bool {
    match quote {
        '"' => kind == Kind::PostgreSql,
        '`' => matches!(kind, Kind::MariaDb | Kind::MySql | Kind::Sqlite),
        '[' => matches!(kind, Kind::MsSql | Kind::Sqlite),
        _ => false,
    }
}

fn is_punctuation(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_punctuation() && !b"'\"`".contains(&byte))
}
