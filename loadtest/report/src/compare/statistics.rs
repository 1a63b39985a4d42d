//! The test of Mann and Whitney.

/// More than this many in all are judged by the normal distribution.
const EXACT_MAX: usize = 40;

/// How likely ranks as different as these, or more, are if both come from the same source: two-sided; exact for few without
/// ties, else by the normal distribution with corrections for ties and continuity.
pub(super) fn mann_whitney(a: &[f64], b: &[f64]) -> f64 {
    if a.is_empty() || b.is_empty() {
        return 1.0;
    }
    let pairs = (a.len() * b.len()) as f64;
    let wins = |x: f64| {
        b.iter()
            .map(|&y| {
                if x > y {
                    1.0
                } else if x < y {
                    0.0
                } else {
                    0.5
                }
            })
            .sum::<f64>()
    };
    let won: f64 = a.iter().map(|&x| wins(x)).sum();
    let won = won.min(pairs - won);
    let ties = ties(a, b);
    if ties.is_empty() && a.len() + b.len() <= EXACT_MAX {
        exact(a.len(), b.len(), crate::words::whole(won))
    } else {
        normal(a.len(), b.len(), won, &ties)
    }
}

/// Sizes of groups of equal values.
fn ties(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut all: Vec<f64> = a.iter().chain(b).copied().collect();
    all.sort_by(f64::total_cmp);
    let groups = all.chunk_by(|one, next| one.total_cmp(next).is_eq());
    groups.filter(|group| group.len() > 1).map(|group| group.len() as f64).collect()
}

/// By counting in how many orders of `n` among `m` there are at most `u` inversions.
fn exact(n: usize, m: usize, u: usize) -> f64 {
    // ways[i][j][k]: orders of i and j with k inversions; the last is either one of the i (past all j) or of the j.
    let mut ways = vec![vec![vec![0.0_f64; n * m + 1]; m + 1]; n + 1];
    for i in 0..=n {
        for j in 0..=m {
            for k in 0..=i * j {
                ways[i][j][k] = if i == 0 || j == 0 {
                    f64::from(u8::from(k == 0))
                } else {
                    let of_first = if k >= j { ways[i - 1][j][k - j] } else { 0.0 };
                    of_first + ways[i][j - 1][k]
                };
            }
        }
    }
    let all: f64 = ways[n][m].iter().sum();
    let extreme: f64 = ways[n][m][..=u].iter().sum();
    (2.0 * extreme / all).min(1.0)
}

fn normal(n: usize, m: usize, u: f64, ties: &[f64]) -> f64 {
    let (n, m) = (n as f64, m as f64);
    let all = n + m;
    let tied: f64 = ties.iter().map(|t| t * t * t - t).sum();
    let deviation = (n * m / 12.0 * (all + 1.0 - tied / (all * (all - 1.0)))).sqrt();
    if deviation == 0.0 {
        return 1.0;
    }
    let z = ((n * m / 2.0 - u) - 0.5).max(0.0) / deviation;
    (2.0 * upper_tail(z)).min(1.0)
}

/// Of the normal distribution, by Abramowitz and Stegun 26.2.17; off by less than 10^-7.
fn upper_tail(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let series = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let sum = series.into_iter().rev().fold(0.0, |sum, factor| (sum + factor) * t);
    (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(one: f64, other: f64) -> bool {
        (one - other).abs() < 1e-4
    }

    #[test]
    fn the_smallest_chances_are_those_of_tables() {
        // Two of all orders are as extreme: 2 / C(8, 4), 2 / C(10, 5).
        assert!(close(mann_whitney(&[1.0, 2.0, 3.0, 4.0], &[5.0, 6.0, 7.0, 8.0]), 2.0 / 70.0));
        assert!(close(mann_whitney(&[9.0, 8.0, 7.0, 6.0, 10.0], &[1.0, 2.0, 3.0, 4.0, 5.0]), 2.0 / 252.0));
        // U = 1 of 3 and 3: two orders on each side.
        assert!(close(mann_whitney(&[1.0, 2.0, 4.0], &[3.0, 5.0, 6.0]), 4.0 / 20.0));
    }

    #[test]
    fn the_same_is_no_difference() {
        assert!(mann_whitney(&[1.0, 2.0, 3.0, 4.0], &[1.0, 2.0, 3.0, 4.0]) > 0.9);
        assert!(close(mann_whitney(&[5.0; 4], &[5.0; 4]), 1.0));
        assert!(close(mann_whitney(&[], &[1.0]), 1.0));
    }

    #[test]
    fn many_are_judged_by_the_normal_distribution() {
        let a: Vec<f64> = (0..30).map(f64::from).collect();
        let b: Vec<f64> = (0..30).map(|n| f64::from(n) + 12.5).collect();
        assert!(mann_whitney(&a, &b) < 0.001);
        assert!(close(upper_tail(1.959_964), 0.025));
    }
}
