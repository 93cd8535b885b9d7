//! Connection strings: what they tell of a database, without what is secret.
//!
//! In: a URL or any other string that a driver connects by. Out: the name of the subsegment, and the fields of its
//! object `sql`.
//!
//! What is recorded is put together from the parts that are known (user, host, port, database), so that nothing else
//! gets there: neither a password in whatever place, nor parameters. A string of which it is not certain where its
//! password ends tells the kind of the database only.

use super::kind::Kind;
/// X-Ray segment documents: characters of a name, and of other strings.
const MAX_NAME: usize = 200;
const MAX_STRING: usize = 250;

/// Bytes of a connection string that is looked at. One with a token instead of a password has about 2,000.
const MAX_LEN: usize = 8 * 1024;

/// Places where the password of a string may begin that cannot be read.
const MAX_PASSWORDS: usize = 8;

/// What is in no name, but between parameters.
const BEYOND_NAMES: [char; 3] = ['=', '&', ';'];

/// What a connection string tells.
#[derive(Clone, Default)]
pub(super) struct Target {
    pub(super) kind: Option<Kind>,
    /// `database@host`, or as much of that as is known; a file's name.
    pub(super) name: String,
    /// `scheme://user@host:port/database`; empty if there is no such URL.
    ///
    /// The OpenTelemetry collector refuses a document whose URL has no host or no database.
    pub(super) url: String,
    /// The same for anything else.
    pub(super) connection_string: String,
    pub(super) user: String,
    /// What no message may contain.
    pub(super) secrets: Vec<String>,
}

impl Target {
    pub(super) fn parse(text: &str) -> Self {
        let text = text.trim();
        let mut target = Self::default();
        if text.len() <= MAX_LEN {
            let plain = strip_prefix(text, "jdbc:").unwrap_or(text);
            if target.read(plain).is_none() {
                target.forget(plain);
            }
        }
        if target.name.is_empty() {
            target.name = target.kind.map(Kind::name).unwrap_or_default().to_owned();
        }
        // It would not be sent any longer than this either.
        for (part, max) in
            [(&mut target.name, MAX_NAME), (&mut target.connection_string, MAX_STRING), (&mut target.user, MAX_STRING)]
        {
            part.truncate(fitting(part, max));
        }
        let told = [&target.name, &target.user];
        target.secrets.retain(|secret| !secret.is_empty() && !told.contains(&secret));
        target.secrets.sort_unstable();
        target.secrets.dedup();
        target
    }

    /// Nothing if the text is not what any driver takes, or its password may end somewhere else.
    fn read(&mut self, text: &str) -> Option<()> {
        let scheme = text.split_once("://").filter(|(scheme, _)| is_scheme(scheme));
        let word = |word: &str| strip_prefix(text, word);
        self.kind = match (scheme, text.split_once(':')) {
            (Some((scheme, _)), _) => Kind::of_scheme(scheme),
            // Neither of the URLs of these has to have slashes.
            (None, Some((scheme, _))) => {
                Kind::of_scheme(scheme).filter(|kind| kind.is_in_process() || *kind == Kind::Oracle)
            }
            (None, None) => None,
        };
        if self.kind.is_some_and(Kind::is_in_process) {
            let (_, file) = text.split_once(':')?;
            self.read_file(file);
        } else if let Some((scheme, rest)) = scheme {
            self.read_url(scheme, rest)?;
        } else if self.kind.is_some() {
            // What the drivers for Java call a URL of Oracle.
            return None;
        } else if let Some(pairs) = word("odbc:").or(Some(text)).filter(|text| is_pairs(text)) {
            self.read_pairs(&text[..text.len() - pairs.len()], pairs)?;
        } else if is_file(text) {
            self.kind = Some(Kind::Sqlite);
            self.read_file(text);
        } else {
            self.read_address(text)?;
        }
        Some(())
    }

    /// `scheme://user:password@host:port/database?parameters`; parameters may also be behind a semicolon.
    fn read_url(&mut self, scheme: &str, rest: &str) -> Option<()> {
        let (authority, tail) = rest.split_at(rest.find(['/', '?', '#', ';']).unwrap_or(rest.len()));
        if tail.contains('@') {
            return None;
        }
        let (path, parameters) = tail.split_at(tail.find(['?', '#', ';']).unwrap_or(tail.len()));
        let (credentials, address) = authority.rsplit_once('@').unwrap_or(("", authority));
        let address = Address::parse(address)?;
        let mut parts = Parts::of(&address, path)?;
        let user = self.read_credentials(credentials);
        for (key, value) in parameters.split(['?', '#', ';', '&']).filter_map(|pair| pair.split_once('=')) {
            self.read_pair(&mut parts, &decode(key), &decode(value));
        }
        let at = if user.is_empty() { "" } else { "@" };
        let url = format!("{scheme}://{user}{at}{}{path}", address.text);
        let is_whole = !address.host.is_empty() && !path.trim_matches('/').is_empty();
        if is_whole && fitting(&url, MAX_STRING) == url.len() {
            self.url = url;
        } else {
            self.connection_string = url;
        }
        self.set_name(&parts);
        Some(())
    }

    /// `user:password@host:port/database?parameters`, also with a protocol around the address.
    fn read_address(&mut self, text: &str) -> Option<()> {
        let text = text.strip_prefix("//").unwrap_or(text);
        let (text, parameters) = text.split_at(text.find('?').unwrap_or(text.len()));
        if parameters.contains('@') {
            return None;
        }
        let (credentials, rest) = text.rsplit_once('@').unwrap_or(("", text));
        let begin = rest.find(')').unwrap_or(0);
        let (address, path) = rest.split_at(rest[begin..].find('/').map_or(rest.len(), |slash| begin + slash));
        let address = Address::parse(address)?;
        let mut parts = Parts::of(&address, path)?;
        let user = self.read_credentials(credentials);
        for (key, value) in parameters.split(['?', '&']).filter_map(|pair| pair.split_once('=')) {
            self.read_pair(&mut parts, &decode(key), &decode(value));
        }
        let at = if user.is_empty() { "" } else { "@" };
        self.connection_string = format!("{user}{at}{}{path}", address.text);
        self.set_name(&parts);
        Some(())
    }

    /// `key=value` with spaces in between, as libpq takes it, or semicolons, as others do.
    fn read_pairs(&mut self, prefix: &str, text: &str) -> Option<()> {
        let by_spaces = split_pairs(text, ' ');
        let by_spaces = by_spaces.filter(|pairs| pairs.iter().all(|pair| pair.quoted || !pair.value.contains(';')));
        let separator = if by_spaces.is_some() { " " } else { ";" };
        let mut parts = Parts::default();
        let mut kept = Vec::new();
        for Pair { key, value, .. } in by_spaces.or_else(|| split_pairs(text, ';'))? {
            if self.read_pair(&mut parts, key, &value) {
                // It may be a part of the next one.
                if value.contains(['=', '\'', '"', '{', '}']) {
                    return None;
                }
                kept.push(format!("{key}={value}"));
            }
        }
        if separator == " " {
            self.kind = Some(Kind::PostgreSql);
        }
        self.connection_string = format!("{prefix}{}", kept.join(separator));
        self.set_name(&parts);
        Some(())
    }

    /// The path of a file, or what stands for a database in memory.
    fn read_file(&mut self, text: &str) {
        let (path, parameters) = text.split_at(text.find(['?', '#']).unwrap_or(text.len()));
        for (key, value) in parameters.split(['?', '#', '&']).filter_map(|pair| pair.split_once('=')) {
            self.read_pair(&mut Parts::default(), &decode(key), &decode(value));
        }
        let file = path.rsplit(['/', '\\']).next().unwrap_or_default();
        if file != ":memory:" && !file.contains(BEYOND_NAMES) {
            self.name = decode(file);
        }
    }

    /// Whether a parameter is one of those that are recorded.
    fn read_pair(&mut self, parts: &mut Parts, key: &str, value: &str) -> bool {
        let key = key.to_ascii_lowercase();
        let place = match &*key {
            "host" | "hostaddr" | "server" | "data source" | "address" | "addr" => {
                // SQL Server's has the port behind a comma.
                let (host, port) = value.rsplit_once(',').unwrap_or((value, ""));
                if parts.port.is_empty() {
                    parts.port = port.trim().to_owned();
                }
                let host = host.trim().strip_prefix("tcp:").unwrap_or(host.trim());
                fill(&mut parts.host, host);
                return true;
            }
            "port" => &mut parts.port,
            "database" | "dbname" | "databasename" | "initial catalog" => &mut parts.database,
            "user" | "user id" | "userid" | "username" | "uid" => &mut self.user,
            _ => {
                if is_secret(&key, value) {
                    self.keep_secret(value);
                }
                return false;
            }
        };
        fill(place, value);
        true
    }

    /// The user of `user:password`; the slash is Oracle's.
    fn read_credentials<'a>(&mut self, credentials: &'a str) -> &'a str {
        let encoded = |&(at, _): &(usize, &str)| {
            let byte = credentials.get(at + 1..at + 3).unwrap_or_default();
            byte.eq_ignore_ascii_case("2f") || byte.eq_ignore_ascii_case("3a")
        };
        let encoded = credentials.match_indices('%').find(encoded).map(|(at, _)| (at, 3));
        let plain = credentials.find([':', '/']).map(|at| (at, 1));
        let Some((end, separator)) = encoded.into_iter().chain(plain).min() else {
            self.user = decode(credentials);
            return credentials;
        };
        let (user, password) = (&credentials[..end], &credentials[end + separator..]);
        self.user = decode(user);
        self.keep_secret(password);
        self.keep_secret(&decode(password));
        user
    }

    fn keep_secret(&mut self, secret: &str) {
        self.secrets.push(secret.to_owned());
        // As errors write what they quote.
        self.secrets.push(secret.escape_debug().to_string());
    }

    /// Leaves everything out but the kind, and takes for a secret whatever may be a password.
    fn forget(&mut self, text: &str) {
        *self = Self { kind: self.kind, ..Self::default() };
        let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
        let credentials = rest.rsplit_once('@').map_or(rest, |(credentials, _)| credentials);
        for (at, _) in credentials.match_indices([':', '/']).take(MAX_PASSWORDS) {
            let password = &credentials[at + 1..];
            self.keep_secret(password);
            self.keep_secret(&decode(password));
        }
        for (key, value) in rest.split(['?', '#', ';', '&', ' ']).filter_map(|pair| pair.split_once('=')) {
            if is_secret(&key.to_ascii_lowercase(), value) {
                self.keep_secret(value.trim_matches(['\'', '"', '{', '}']));
                self.keep_secret(&decode(value));
            }
        }
    }

    fn set_name(&mut self, parts: &Parts) {
        let Parts { host, port, database } = parts;
        // The directory of a socket.
        let host = if host.starts_with('/') { "localhost" } else { host };
        let at = if host.is_empty() || database.is_empty() { "" } else { "@" };
        let is_default = port.is_empty() || self.kind.and_then(Kind::port) == Some(port);
        let colon = if is_default || host.is_empty() { "" } else { ":" };
        let port = if is_default || host.is_empty() { "" } else { port };
        self.name = format!("{database}{at}{host}{colon}{port}");
    }
}

/// What a subsegment is named after, decoded.
#[derive(Default)]
struct Parts {
    host: String,
    port: String,
    database: String,
}

impl Parts {
    /// Nothing if parameters begin where the database should end.
    fn of(address: &Address<'_>, path: &str) -> Option<Self> {
        let (host, port, database) = (decode(address.host), address.port.to_owned(), decode(path.trim_matches('/')));
        (!path.contains(BEYOND_NAMES)).then_some(Self { host, port, database })
    }
}

/// `host:port`, as it is written; the first of several.
#[derive(Default)]
struct Address<'a> {
    text: &'a str,
    host: &'a str,
    port: &'a str,
}

impl<'a> Address<'a> {
    /// Nothing if there is something that no address contains.
    fn parse(text: &'a str) -> Option<Self> {
        // `tcp(localhost:3306)`, `unix(/tmp/mysql.sock)`
        let inner = match text.split_once('(') {
            Some((_, inner)) => inner.strip_suffix(')')?,
            None => text,
        };
        if inner.starts_with('/') {
            return Some(Self { text, host: inner, port: "" });
        }
        let mut hosts = inner.split(',').map(|part| {
            let (host, port) = match part.find(']') {
                Some(end) => (&part[..=end], part[end + 1..].strip_prefix(':').unwrap_or(&part[end + 1..])),
                None => part.rsplit_once(':').unwrap_or((part, "")),
            };
            let punctuation = if part.starts_with('[') { "[]:%." } else { ".-_%" };
            let is_host = |c: char| c.is_alphanumeric() || punctuation.contains(c);
            let is_address = host.chars().all(is_host) && port.bytes().all(|byte| byte.is_ascii_digit());
            is_address.then_some(Self { text, host, port })
        });
        let first = hosts.next()??;
        hosts.all(|host| host.is_some()).then_some(first)
    }
}

/// The bytes of at most so many characters.
fn fitting(text: &str, max: usize) -> usize {
    text.char_indices().nth(max).map_or(text.len(), |(end, _)| end)
}

fn fill(place: &mut String, value: &str) {
    if place.is_empty() {
        value.clone_into(place);
    }
}

struct Pair<'a> {
    key: &'a str,
    value: String,
    quoted: bool,
}

/// All of a text as pairs.
fn split_pairs(text: &str, separator: char) -> Option<Vec<Pair<'_>>> {
    let is_key = |c: char| c.is_ascii_alphanumeric() || c == '_' || (separator == ';' && c == ' ');
    let mut pairs = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=')?;
        let key = key.trim();
        if key.is_empty() || !key.chars().all(is_key) {
            return None;
        }
        let after = after.trim_start_matches(' ');
        let quote = match after.chars().next() {
            Some(quote @ ('\'' | '"')) => Some(quote),
            Some('{') if separator == ';' => Some('}'),
            _ => None,
        };
        let (value, after) = match quote {
            Some(quote) => unquote(after, quote, separator == ' ')?,
            None => {
                let (value, after) = after.split_at(after.find(separator).unwrap_or(after.len()));
                (value.trim().to_owned(), after)
            }
        };
        rest = after.trim_start();
        match rest.strip_prefix(separator) {
            Some(next) => rest = next.trim_start(),
            None if separator == ';' && !rest.is_empty() => return None,
            None => {}
        }
        pairs.push(Pair { key, value, quoted: quote.is_some() });
    }
    Some(pairs)
}

/// The value in quotes at the beginning of a text, and what is behind them; nothing if they do not end.
///
/// A quote within is doubled, or behind a backslash where there are escapes.
fn unquote(text: &str, quote: char, escapes: bool) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if escapes => value.extend(chars.next().map(|(_, escaped)| escaped)),
            c if c == quote => match chars.next_if(|(_, next)| *next == quote) {
                Some(_) => value.push(quote),
                None => return Some((value, &text[at + quote.len_utf8()..])),
            },
            c => value.push(c),
        }
    }
    None
}

/// Whether the value of a parameter in lower case is nobody else's business.
fn is_secret(key: &str, value: &str) -> bool {
    // `foreign_keys=on`, `allowPublicKeyRetrieval=true`: no key is as short as that.
    let is_key = key.contains("key") && value.len() > "false".len();
    is_key || ["pass", "pwd", "secret", "token"].iter().any(|part| key.contains(part))
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c))
}

fn is_pairs(text: &str) -> bool {
    text.split_once('=').is_some_and(|(key, _)| key.chars().all(|c| c.is_ascii_alphanumeric() || " _-".contains(c)))
}

/// Whether a text without a scheme is what a database in the process is opened by.
fn is_file(text: &str) -> bool {
    let is_path = (text.starts_with(['/', '.']) && !text.starts_with("//")) || text == ":memory:";
    let ends = |end: &&str| {
        text.len() >= end.len()
            && text.is_char_boundary(text.len() - end.len())
            && text[text.len() - end.len()..].eq_ignore_ascii_case(end)
    };
    !text.contains('@') && (is_path || [".db", ".db3", ".sqlite", ".sqlite3"].iter().any(ends))
}

fn strip_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// A text without its percent-encoding; what is no UTF-8 then has replacement characters.
fn decode(text: &str) -> String {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        let code = match (byte, after) {
            (b'%', [high, low, ..]) => digit(*high).zip(digit(*low)).map(|(high, low)| (high * 16 + low) as u8),
            _ => None,
        };
        decoded.push(code.unwrap_or(*byte));
        if code.is_some() {
            rest = &rest[2..];
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}
