//! Dates and times as XMPP writes them (XEP-0082), from and to milliseconds since 1970 in UTC.

/// The milliseconds of a day.
const DAY_MS: i64 = 86_400_000;
/// The years a date has room for: four digits, and a sign is nobody's habit.
const YEAR_MAX: i64 = 9999;

/// Writes `1969-07-21T02:56:15.123Z` (XEP-0082 §3.2), without the fraction if it is zero. What lies beyond
/// the years 0 to 9999 is written as the nearest moment within.
pub fn write(unix_ms: impl TryInto<i64>) -> String {
    let unix_ms = unix_ms
        .try_into()
        .unwrap_or(i64::MAX)
        .clamp(days_before(0) * DAY_MS, days_before(YEAR_MAX + 1) * DAY_MS - 1);
    let (year, month, day) = date_of(unix_ms.div_euclid(DAY_MS));
    let of_day = unix_ms.rem_euclid(DAY_MS);
    let (hour, minute, second) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1000 % 60);
    let fraction = match of_day % 1000 {
        0 => String::new(),
        ms => format!(".{ms:03}"),
    };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// Reads a date and time (XEP-0082 §3.2) with any zone; digits beyond milliseconds are dropped. A leap second
/// is the second after it.
pub fn parse(text: &str) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let (time, rest) = rest.strip_prefix('T')?.split_at_checked(8)?;
    let (ms, zone) = fraction(rest)?;
    let days = days_of(date)?;
    let seconds = seconds_of(time)? - offset(zone)?;
    Some(days * DAY_MS + seconds * 1000 + ms)
}

/// Days from 1970 to the first day of a year in the Gregorian calendar.
fn days_before(year: i64) -> i64 {
    let last = year - 1;
    last * 365 + last.div_euclid(4) - last.div_euclid(100) + last.div_euclid(400) - 719_162
}

fn date_of(days: i64) -> (i64, i64, i64) {
    // The estimate is at most one year off: a year has 365.2425 days on average.
    let mut year = 1970 + (days * 10_000).div_euclid(3_652_425);
    while days_before(year) > days {
        year -= 1;
    }
    while days_before(year + 1) <= days {
        year += 1;
    }
    let mut day = days - days_before(year);
    let mut month = 1;
    while day >= days_in(year, month) {
        day -= days_in(year, month);
        month += 1;
    }
    (year, month, day + 1)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + (days_before(year + 1) - days_before(year) - 365),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// `CCYY-MM-DD` as days since 1970.
fn days_of(date: &str) -> Option<i64> {
    let mut fields = date.split('-');
    let (year, month, day) =
        (number(fields.next()?, 4)?, number(fields.next()?, 2)?, number(fields.next()?, 2)?);
    if fields.next().is_some() || !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) {
        return None;
    }
    Some(days_before(year) + (1..month).map(|month| days_in(year, month)).sum::<i64>() + day - 1)
}

/// `hh:mm:ss` as seconds of a day.
fn seconds_of(time: &str) -> Option<i64> {
    let mut fields = time.split(':');
    let (hour, minute, second) =
        (number(fields.next()?, 2)?, number(fields.next()?, 2)?, number(fields.next()?, 2)?);
    let fits = fields.next().is_none() && hour < 24 && minute < 60 && second <= 60;
    fits.then_some(hour * 3600 + minute * 60 + second)
}

/// `.sss` as milliseconds, and what follows it.
fn fraction(text: &str) -> Option<(i64, &str)> {
    let Some(text) = text.strip_prefix('.') else { return Some((0, text)) };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (fraction, rest) = text.split_at_checked(digits).filter(|_| digits > 0)?;
    let ms = fraction.bytes().chain(*b"00").take(3).fold(0, |ms, digit| ms * 10 + i64::from(digit - b'0'));
    Some((ms, rest))
}

/// `Z` or `+hh:mm` as seconds ahead of UTC.
fn offset(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let (sign, rest) = zone.split_at_checked(1)?;
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes) = (number(hours, 2)?, number(minutes, 2)?);
    let seconds = hours * 3600 + minutes * 60;
    match sign {
        _ if hours > 23 || minutes > 59 => None,
        "+" => Some(seconds),
        "-" => Some(-seconds),
        _ => None,
    }
}

fn number(text: &str, digits: usize) -> Option<i64> {
    let fits = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_moon_landing_is_one_moment_in_every_zone() {
        let landing = parse("1969-07-21T02:56:15Z").unwrap();
        assert_eq!(landing, -14_159_025_000);
        assert_eq!(parse("1969-07-20T21:56:15-05:00"), Some(landing));
        assert_eq!(parse("1969-07-21T08:26:15.000+05:30"), Some(landing));
        assert_eq!(write(landing), "1969-07-21T02:56:15Z");
    }

    #[test]
    fn known_moments_are_written_as_everybody_writes_them() {
        assert_eq!(write(0), "1970-01-01T00:00:00Z");
        assert_eq!(write(951_782_400_000_i64), "2000-02-29T00:00:00Z");
        assert_eq!(write(1_795_442_843_007_u64), "2026-11-23T14:07:23.007Z");
        assert_eq!(write(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(write(i64::MIN), "0000-01-01T00:00:00Z");
        assert_eq!(write(u64::MAX), write(i64::MAX));
        assert_eq!(write(i64::MAX), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn fractions_of_any_length_are_read_to_the_millisecond() {
        assert_eq!(parse("1970-01-01T00:00:00.5Z"), Some(500));
        assert_eq!(parse("1970-01-01T00:00:00.0429999Z"), Some(42));
    }

    #[test]
    fn a_leap_second_is_the_second_after_it() {
        assert_eq!(parse("2016-12-31T23:59:60Z"), parse("2017-01-01T00:00:00Z"));
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "1970-01-01",
            "1970-01-01T00:00:00",
            "1970-01-01T00:00:00z",
            "1970-01-01 00:00:00Z",
            "1970-13-01T00:00:00Z",
            "1970-00-01T00:00:00Z",
            "1970-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "1970-01-32T00:00:00Z",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:60:00Z",
            "1970-01-01T00:00:61Z",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:00+1:00",
            "1970-01-01T00:00:00+24:00",
            "1970-01-01T00:00:00+01:60",
            "+970-01-01T00:00:00Z",
            "1970-01-01T00:00:00Zx",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_moment_survives(unix_ms in -62_167_219_200_000_i64..=253_402_300_799_999) {
            prop_assert_eq!(parse(&write(unix_ms)), Some(unix_ms));
        }

        #[test]
        fn arbitrary_text_never_panics(text in "\\PC{0,40}") {
            let _ = parse(&text);
        }

        #[test]
        fn almost_dates_never_panic(text in "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.Zé+:0-9-]{0,9}") {
            let _ = parse(&text);
        }
    }
}
