# Sensitivity analyses: caliper matching and the matched comparison, Rubin's rules, Nelson-Aalen hazards for imputation,
# E-values, the confounding formula of Lin, Psaty and Kronmal, delta-adjusted censoring by brute force, weighted risks.
source(file.path(commandArgs(trailingOnly = TRUE)[1], "tests/reference/r/common.R"))
suppressPackageStartupMessages(library(MatchIt))

# --- matching ---------------------------------------------------------------------------------------
tight <- glm.control(epsilon = 1e-13, maxit = 100)
score_of <- function(formula, data) {
  fit <- glm(formula, binomial, data, control = tight)
  unname(predict(update(fit, start = coef(fit))))
}
restricted_mean <- function(d, tau) { # estimate and the influence of each row (infinitesimal jackknife)
  fit <- survfit(Surv(time, event) ~ 1, d, influence = 1)
  kept <- fit$time < tau
  widths <- diff(c(fit$time[kept], tau))
  list(estimate = min(fit$time[1], tau) + sum(widths * fit$surv[kept]),
       influence = as.vector(fit$influence.surv[, kept, drop = FALSE] %*% widths))
}
# MatchIt 4.5.1 to 4.5.3 compare distances as whole numbers (github.com/kosukeimai/MatchIt/issues/163): the score is
# therefore handed over in units of 1e-8. A caliper in standard deviations and the order do not mind; later versions agree.
# Whole units, as ours, also make the scores of equal covariates equal.
match_and_compare <- function(id, treated, score, time, event, tau, caliper, data) {
  d <- data.frame(treated = treated, time = time, event = event)
  whole <- round(score * 1e8)
  m <- matchit(treated ~ 1, d, method = "nearest", distance = whole, caliper = caliper, estimand = "ATT")
  partner <- m$match.matrix[, 1]
  found <- !is.na(partner)
  pairs <- cbind(as.integer(rownames(m$match.matrix)[found]), as.integer(partner[found]))
  pairs <- pairs[order(pairs[, 1]), , drop = FALSE]
  record(paste0(id, ".pairs"), t(pairs) - 1, "MatchIt::matchit", data)
  record(paste0(id, ".caliper"), m$caliper / 1e8, "MatchIt::matchit", data)
  record(paste0(id, ".unmatched"), c(sum(!found), sum(treated == 0) - sum(found)), "MatchIt::matchit", data)
  matched <- d[c(pairs[, 1], pairs[, 2]), ]
  matched$pair <- rep(seq_len(nrow(pairs)), 2)
  fit <- coxph(Surv(time, event) ~ treated, matched, cluster = pair, control = strict)
  record(paste0(id, ".cox"), c(coef(fit), sqrt(vcov(fit))), "survival::coxph(cluster = pair)", data)
  one <- restricted_mean(d[pairs[, 1], ], tau); zero <- restricted_mean(d[pairs[, 2], ], tau)
  record(paste0(id, ".rmst"), c(one$estimate, zero$estimate, sqrt(sum((one$influence - zero$influence)^2))),
         "survival::survfit(influence = TRUE)", data)
}
score <- score_of(high ~ Age + Gender + Cirrhosis + AFP + Tumorsize, hcc)
match_and_compare("matching.hcc", hcc$high, score, hcc$OS, hcc$Death, 60, 0.2, "hcc_resection")
match_and_compare("matching.hcc_narrow", hcc$high, score, hcc$OS, hcc$Death, 60, 0.02, "hcc_resection")
match_and_compare("matching.hcc_tied", hcc$high, round(score, 1), hcc$RFS, hcc$Recurrence, 36, 0.2, "hcc_resection")
two <- deaths[deaths$rx != "Lev", ]
score <- score_of(lev5fu ~ age + sex + obstruct + perfor + adhere + node4 + extent, two)
match_and_compare("matching.colon", two$lev5fu, score, two$time, two$status, 365.25 * 5, 0.2, "colon")
# ages in years only: hundreds of ties
match_and_compare("matching.colon_tied", two$lev5fu, two$age / 10, two$time, two$status, 365.25 * 5, 0.1, "colon")
score <- score_of(x2 ~ x1 + x3, simulated)
match_and_compare("matching.sim", simulated$x2, score, simulated$time, simulated$event, 20, 0.2, "simulated")
match_and_compare("matching.sim_tied", simulated$x2, round(simulated$x1, 1), simulated$time, simulated$event, 20, 0.05, "simulated")

# --- multiple imputation ----------------------------------------------------------------------------
rubin <- function(q, u, complete) {
  m <- length(q); between <- var(q); within <- mean(u)
  total <- within + (1 + 1 / m) * between
  lambda <- (1 + 1 / m) * between / total
  old <- (m - 1) / lambda^2
  observed <- (complete + 1) / (complete + 3) * complete * (1 - lambda)
  df <- if (is.infinite(complete)) old else old * observed / (old + observed)
  r <- (1 + 1 / m) * between / within
  half <- qt(0.975, df) * sqrt(total)
  c(mean(q), sqrt(total), mean(q) - half, mean(q) + half, 2 * pt(-abs(mean(q)) / sqrt(total), df), df, within, between,
    (r + 2 / (df + 3)) / (r + 1))
}
formula <- "closed form (Rubin 1987; Barnard and Rubin 1999)"
q <- c(-0.31, -0.22, -0.40, -0.28, -0.35); u <- c(0.021, 0.019, 0.024, 0.020, 0.022)
record("rubin.finite", rubin(q, u, 96), formula, "constants")
record("rubin.infinite", rubin(q, u, Inf), formula, "constants")
# imputations of nothing but noise: each fifth of the simulated data stands for an imputation
fifths <- lapply(0:4, function(k) coxph(Surv(time, event) ~ x1, simulated[seq_len(nrow(simulated)) %% 5 == k, ], control = strict))
record("rubin.sim", rubin(sapply(fifths, coef), sapply(fifths, vcov), sum(simulated$event)), paste("survival::coxph,", formula), "simulated")
own_hazard <- function(time, event) {
  fit <- survfit(Surv(time, event) ~ 1)
  fit$cumhaz[findInterval(time, fit$time)]
}
record("nelson_aalen.hcc", own_hazard(hcc$RFS, hcc$Recurrence), "survival::survfit", "hcc_resection")
record("nelson_aalen.sim", own_hazard(simulated$time, simulated$event), "survival::survfit", "simulated")

# --- E-values and unmeasured confounding ------------------------------------------------------------
strength <- function(rr) { rr <- max(rr, 1 / rr); rr + sqrt(rr * (rr - 1)) }
approximate <- function(hr) (1 - 0.5^sqrt(hr)) / (1 - 0.5^sqrt(1 / hr))
for (v in list(c(0.56, 0.46, 0.69), c(1.7, 1.1, 2.6), c(0.9, 0.7, 1.16))) {
  closer <- if (v[2] <= 1 && v[3] >= 1) 1 else if (v[1] < 1) v[3] else v[2]
  record(paste0("evalue.common_", v[1]), c(strength(approximate(v[1])), strength(approximate(closer))), "closed form (VanderWeele and Ding 2017)", "constants")
  record(paste0("evalue.rare_", v[1]), c(strength(v[1]), strength(closer)), "closed form (VanderWeele and Ding 2017)", "constants")
}
grid <- expand.grid(p0 = c(0, 0.2, 0.9), p1 = c(0.1, 0.5, 1), gamma = c(0.5, 1.25, 3))
record("confounding.bias", with(grid, (gamma * p1 + 1 - p1) / (gamma * p0 + 1 - p0)), "closed form (Lin, Psaty and Kronmal 1998)", "constants")

# --- informative censoring: each censored patient becomes fractions of a patient at the later events of the arm -------
complete_arm <- function(d, tau, delta) {
  fit <- survfit(Surv(time, event) ~ 1, d, weights = w)
  events <- fit$time[fit$n.event > 0 & fit$time <= tau]
  at <- function(t) ifelse(t < fit$time[1], 1, fit$surv[pmax(findInterval(t, fit$time), 1)])
  parts <- lapply(seq_len(nrow(d)), function(i) {
    row <- d[i, ]
    if (row$time > tau) return(data.frame(time = tau, event = 0, w = row$w))
    if (row$event == 1) return(data.frame(time = row$time, event = 1, w = row$w))
    later <- events[events > row$time]
    alive <- (at(c(row$time, later)) / at(row$time))^delta
    data.frame(time = c(later, tau), event = c(rep(1, length(later)), 0), w = row$w * c(-diff(alive), tail(alive, 1)))
  })
  d <- do.call(rbind, parts)
  d[d$w > 0, ]
}
delta_adjusted <- function(id, d, tau, delta1, delta0, data) {
  arms <- list(complete_arm(d[d$treated == 1, ], tau, delta1), complete_arm(d[d$treated == 0, ], tau, delta0))
  area <- sapply(arms, function(a) {
    fit <- survfit(Surv(time, event) ~ 1, a, weights = w)
    kept <- fit$time < tau
    min(fit$time[1], tau) + sum(diff(c(fit$time[kept], tau)) * fit$surv[kept])
  })
  both <- rbind(cbind(arms[[1]], treated = 1), cbind(arms[[2]], treated = 0))
  fit <- coxph(Surv(time, event) ~ treated, both, weights = w, ties = "breslow", control = strict)
  record(id, c(area, coef(fit)), "survival::survfit, survival::coxph on fractions of patients", data)
}
h <- data.frame(time = hcc$OS, event = hcc$Death, treated = hcc$high, w = 1)
s <- data.frame(time = simulated$time, event = simulated$event, treated = simulated$x2, w = simulated$weight)
for (delta in c(0.5, 1, 3)) {
  delta_adjusted(paste0("delta.hcc_treated_", delta), h, 48, delta, 1, "hcc_resection")
  delta_adjusted(paste0("delta.sim_control_", delta), s, 15, 1, delta, "simulated")
}
delta_adjusted("delta.sim_both", s, 15, 2, 0.5, "simulated")

# --- weighted risks: the saturated model with HC0 variance ---------------------------------------------
sandwich <- function(family, data) {
  fit <- suppressWarnings(glm(y ~ treated, family, data, weights = w, control = tight))
  fit <- suppressWarnings(update(fit, start = coef(fit)))
  x <- model.matrix(fit)
  working <- fit$family$mu.eta(fit$linear.predictors)
  bread <- solve(crossprod(x, x * data$w * working^2 / fit$family$variance(fitted(fit))))
  meat <- x * data$w * (data$y - fitted(fit)) * working / fit$family$variance(fitted(fit))
  c(coef(fit)[2], sqrt((bread %*% crossprod(meat) %*% bread)[2, 2]))
}
r <- data.frame(y = simulated$event, treated = simulated$x2, w = simulated$weight)
record("risks.sim_difference", sandwich(quasi(link = "identity", variance = "constant"), r), "stats::glm, HC0 sandwich", "simulated")
record("risks.sim_log_ratio", sandwich(quasi(link = "log", variance = "mu"), r), "stats::glm, HC0 sandwich", "simulated")
r <- data.frame(y = hcc$Vascularinvasion, treated = hcc$high, w = 1)
record("risks.hcc_difference", sandwich(quasi(link = "identity", variance = "constant"), r), "stats::glm, HC0 sandwich", "hcc_resection")
write_values("sensitivity", c("survival", "MatchIt"))
