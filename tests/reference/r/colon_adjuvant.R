# The adjuvant colon cancer trial, levamisole with fluorouracil against observation: what the whole path of the cohort
# colon_adjuvant (export, ingest, clean, ADaM, estimates) must arrive at. In days here; one month is 30.4375 days.
source(file.path(commandArgs(trailingOnly = TRUE)[1], "tests/reference/r/common.R"))
suppressPackageStartupMessages(library(cmprsk))
MONTH <- 30.4375
data <- "colon, two arms"

two_arms <- function(d) {
  d <- d[d$rx %in% c("Obs", "Lev+5FU"), ]
  d$treated <- as.integer(d$rx == "Lev+5FU")
  d[order(d$id), ]
}
os <- two_arms(deaths)
ttr <- two_arms(recurrences)
stopifnot(os$id == ttr$id)
rfs <- ttr
# a death without recurrence is an event on the day of death; everybody else as recorded
died_first <- ttr$status == 0 & os$status == 1
rfs$time[died_first] <- os$time[died_first]
rfs$status[died_first] <- 1
rfs$cause <- ifelse(ttr$status == 1, 1, ifelse(died_first, 2, 0))

for (endpoint in c("rfs", "os", "ttr")) {
  d <- get(endpoint)
  d$years <- d$time / 365.25
  d$months <- d$time / MONTH
  at <- function(what) paste0(endpoint, ".", what)
  for (arm in 0:1) {
    own <- d[d$treated == arm, ]
    slug <- c("observation", "lev_5fu")[arm + 1]
    record(at(paste0(slug, ".n_events")), c(nrow(own), sum(own$status)), "table", data)
    rate <- poisson.test(sum(own$status), sum(own$years) / 100)
    record(at(paste0(slug, ".rate")), c(rate$estimate, rate$conf.int), "stats::poisson.test", data)
    fit <- survfit(Surv(months, status) ~ 1, own, conf.type = "log-log")
    s <- summary(fit, times = c(12, 36, 60))
    record(at(paste0(slug, ".survival")), 100 * c(s$surv, s$lower, s$upper), "survival::summary.survfit", data)
    record(at(paste0(slug, ".at_risk")), s$n.risk, "survival::summary.survfit", data)
    q <- unlist(quantile(fit, 0.5))
    record(at(paste0(slug, ".median")), ifelse(is.na(q), Inf, q), "survival::quantile.survfit", data)
    r <- summary(fit, rmean = 60)$table[c("rmean", "se(rmean)")]
    record(at(paste0(slug, ".rmst")), c(r[1], r[1] - qnorm(0.975) * r[2], r[1] + qnorm(0.975) * r[2]),
           "survival::print.survfit(rmean=)", data)
  }
  r <- summary(survfit(Surv(months, status) ~ treated, d), rmean = 60)$table
  difference <- unname(r[2, "rmean"] - r[1, "rmean"])
  se <- sqrt(sum(r[, "se(rmean)"]^2))
  record(at("rmst_difference"), c(difference, difference - qnorm(0.975) * se, difference + qnorm(0.975) * se,
                                  2 * pnorm(-abs(difference / se))), "survival::print.survfit(rmean=)", data)
  test <- survdiff(Surv(months, status) ~ treated, d)
  record(at("log_rank"), c(test$chisq, pchisq(test$chisq, 1, lower.tail = FALSE)), "survival::survdiff", data)
  cox <- function(id, formula, data) {
    fit <- coxph(formula, d, control = strict)
    s <- summary(fit)
    i <- "treated"
    record(at(id), c(s$conf.int[i, c(1, 3, 4)], s$coefficients[i, "Pr(>|z|)"]), "survival::coxph", data)
    fit
  }
  fit <- cox("hr", Surv(months, status) ~ treated, data)
  z <- cox.zph(fit, transform = "km", global = TRUE)
  record(at("zph"), z$table["GLOBAL", c("chisq", "p")], "survival::cox.zph", data)
}

causes <- c("recurrence", "death")
fit <- survfit(Surv(time / MONTH, factor(cause)) ~ treated, rfs, conf.type = "log-log", id = id)
for (arm in 0:1) {
  s <- summary(fit[arm + 1, ], times = c(12, 36, 60))
  for (j in 1:2) {
    # nobody has had the event yet: no interval
    gone <- s$pstate[, j + 1] == 0
    limit <- function(x) ifelse(gone, NA, x[, j + 1])
    record(paste0("first_event.", c("observation", "lev_5fu")[arm + 1], ".", causes[j]),
           100 * c(s$pstate[, j + 1], limit(s$lower), limit(s$upper)), "survival::survfit (Aalen-Johansen)", data)
  }
}
gray <- cuminc(rfs$time / MONTH, rfs$cause, rfs$treated)$Tests
for (j in 1:2) record(paste0("first_event.gray.", causes[j]), gray[j, c("stat", "pv")], "cmprsk::cuminc", data)

# baseline as Table 1 has it
record("baseline.age", unlist(lapply(split(os$age, os$treated), function(x) c(mean(x), sd(x)))), "mean, sd", data)
record("baseline.node4", as.vector(tapply(os$node4, os$treated, mean)) * 100, "mean", data)
record("baseline.missing", c(sum(is.na(os$differ)), sum(is.na(os$nodes))), "is.na", data)

write_values("colon_adjuvant", c("survival", "cmprsk"))
