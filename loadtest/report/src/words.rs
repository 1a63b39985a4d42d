//! Figures as people read them: three digits, and the unit that fits.

/// `183 ms`, `1.24 s`, `87 µs`.
pub(crate) fn micros(us: f64) -> String {
    match us {
        us if us >= 120e6 => format!("{} min", digits(us / 60e6)),
        us if us >= 1e6 => format!("{} s", digits(us / 1e6)),
        us if us >= 1e3 => format!("{} ms", digits(us / 1e3)),
        us => format!("{} µs", digits(us)),
    }
}

/// `1,234,567`.
pub(crate) fn count(n: u64) -> String {
    let plain = n.to_string();
    let mut text = String::with_capacity(plain.len() + plain.len() / 3);
    for (at, digit) in plain.chars().enumerate() {
        if at > 0 && (plain.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `12.3 k`, for axes and rates.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 1e9 => format!("{} G", digits(value / 1e9)),
        size if size >= 1e6 => format!("{} M", digits(value / 1e6)),
        size if size >= 1e4 => format!("{} k", digits(value / 1e3)),
        _ => digits(value),
    }
}

/// `1.50 GiB`.
pub(crate) fn bytes(bytes: f64) -> String {
    let mut value = bytes;
    for unit in ["B", "KiB", "MiB"] {
        if value < 1024.0 {
            return format!("{} {unit}", digits(value));
        }
        value /= 1024.0;
    }
    format!("{} GiB", digits(value))
}

/// `12.3 %` of a share.
pub(crate) fn percent(share: f64) -> String {
    format!("{} %", digits(share * 100.0))
}

/// `1:05:09`, `2:30`: how far into the run.
pub(crate) fn clock(ms: u64) -> String {
    let seconds = ms / 1000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// `2026-11-23 17:06 UTC`.
pub(crate) fn date(unix_ms: u64) -> String {
    let (days, seconds) = (unix_ms / 86_400_000, unix_ms / 1000 % 86_400);
    // Civil from days, by eras of 400 years that begin in March.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, carried) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + carried;
    format!("{year}-{month:02}-{day:02} {:02}:{:02} UTC", seconds / 3600, seconds / 60 % 60)
}

/// The nearest whole number; nothing below zero.
#[expect(clippy::cast_sign_loss, reason = "is not below zero")]
pub(crate) fn whole(value: f64) -> usize {
    value.max(0.0).round() as usize
}

/// Three digits that count, no more zeros behind the point than there is to say.
fn digits(value: f64) -> String {
    let places = match value.abs() {
        size if size >= 99.95 || size == 0.0 => 0,
        size if size >= 9.995 => 1,
        size if size >= 0.0995 => 2,
        _ => 3,
    };
    let text = format!("{value:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_unit_that_fits() {
        let words = [0.4, 87.0, 1_500.0, 183_000.0, 1_240_000.0, 60_000_000.0, 600_000_000.0].map(micros);
        assert_eq!(words, ["0.4 µs", "87 µs", "1.5 ms", "183 ms", "1.24 s", "60 s", "10 min"]);
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([950.0, 12_345.0, 2_500_000.0].map(short), ["950", "12.3 k", "2.5 M"]);
    }

    #[test]
    fn sizes_shares_and_clocks() {
        assert_eq!([512.0, 1536.0, 3_221_225_472.0].map(bytes), ["512 B", "1.5 KiB", "3 GiB"]);
        assert_eq!(percent(0.1234), "12.3 %");
        assert_eq!([61_000, 3_909_999].map(clock), ["1:01", "1:05:09"]);
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0), "1970-01-01 00:00 UTC");
        assert_eq!(date(951_782_400_000), "2000-02-29 00:00 UTC");
        assert_eq!(date(1_795_453_560_000), "2026-11-23 17:06 UTC");
    }
}
