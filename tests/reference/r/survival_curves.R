# Kaplan-Meier curves, medians, restricted means, log-rank tests.
source(file.path(commandArgs(trailingOnly = TRUE)[1], "tests/reference/r/common.R"))

record_curve <- function(id, fit, data, tau, at) {
  what <- "survival::survfit"
  record(paste0(id, ".time"), fit$time, what, data)
  record(paste0(id, ".n_risk"), fit$n.risk, what, data)
  record(paste0(id, ".n_event"), fit$n.event, what, data)
  record(paste0(id, ".n_censor"), fit$n.censor, what, data)
  record(paste0(id, ".survival"), fit$surv, what, data)
  record(paste0(id, ".std_err"), if (fit$logse) fit$std.err * fit$surv else fit$std.err, what, data)
  record(paste0(id, ".ci_low"), fit$lower, what, data)
  record(paste0(id, ".ci_high"), fit$upper, what, data)
  for (p in c(0.25, 0.5)) {
    record(paste0(id, ".quantile_", 100 * p), unlist(quantile(fit, p)), "survival::quantile.survfit", data)
  }
  record(paste0(id, ".print_median"), summary(fit)$table[c("median", paste0(fit$conf.int, c("LCL", "UCL")))], "survival::print.survfit", data)
  s <- summary(fit, times = at)
  record(paste0(id, ".at"), c(s$surv, s$std.err, s$lower, s$upper), "survival::summary.survfit", data)
  record(paste0(id, ".at_risk"), s$n.risk, "survival::summary.survfit", data)
  if (fit$logse) {
    record(paste0(id, ".rmst"), summary(fit, rmean = tau)$table[c("rmean", "se(rmean)")], "survival::print.survfit(rmean=)", data)
  }
}
for (conf in c("log-log", "log", "plain")) {
  fit <- survfit(Surv(OS, Death) ~ 1, hcc, conf.type = conf)
  record_curve(paste0("km.hcc_os_", conf), fit, "hcc_resection", 60, c(12, 24, 36, 60))
}
record_curve("km.hcc_rfs", survfit(Surv(RFS, Recurrence) ~ 1, hcc, conf.type = "log-log"), "hcc_resection", 60, c(0, 1, 12.5, 24, 60))
record_curve("km.hcc_rfs_90", survfit(Surv(RFS, Recurrence) ~ 1, hcc, conf.type = "log-log", conf.int = 0.9), "hcc_resection", 24, c(12, 24))
record_curve("km.hcc_followup", survfit(Surv(OS, 1 - Death) ~ 1, hcc, conf.type = "log-log"), "hcc_resection", 60, c(12, 60))
for (arm in levels(deaths$rx)) {
  fit <- survfit(Surv(time, status) ~ 1, deaths[deaths$rx == arm, ], conf.type = "log-log")
  record_curve(paste0("km.colon_os_", arm), fit, "colon", 365.25 * 5, 365.25 * c(1, 3, 5))
}
# a level stretch at exactly one half: the median is its midpoint; and a curve that reaches zero
record_curve("km.level", survfit(Surv(c(1, 2, 3, 4), c(1, 1, 1, 1)) ~ 1, conf.type = "log-log"), "four people", 4, 1:4)

data <- "simulated"
record_curve("km.sim_late", survfit(Surv(start, time, event) ~ 1, simulated, conf.type = "log-log"), data, 20, c(5, 10, 20))
record_curve("km.sim_frequency", survfit(Surv(time, event) ~ 1, simulated, weights = frequency, conf.type = "log-log"), data, 20, c(5, 10, 20))
record_curve("km.sim_weighted", survfit(Surv(time, event) ~ 1, simulated, weights = weight, conf.type = "log-log"), data, 20, c(5, 10, 20))
record_curve("km.sim_cluster", survfit(Surv(time, event) ~ 1, simulated, weights = weight, cluster = cluster, conf.type = "log-log"), data, 20, c(5, 10, 20))
record_curve("km.sim_late_weighted",
             survfit(Surv(start, time, event) ~ 1, simulated, weights = weight, id = seq_len(nrow(simulated)), robust = TRUE, conf.type = "log-log"),
             data, 20, c(5, 10, 20))
# restricted mean under weights: infinitesimal jackknife from the influence on the area under the curve
area_se <- function(fit, w, cluster) {
  r <- residuals(fit, times = 20, type = "rmst")
  sqrt(sum(rowsum(w * r, cluster)^2))
}
person <- seq_len(nrow(simulated))
fit <- survfit(Surv(time, event) ~ 1, simulated, weights = weight)
record("km.sim_weighted.rmst", c(summary(fit, rmean = 20)$table["rmean"], area_se(fit, simulated$weight, person)),
       "survival::residuals.survfit(type='rmst')", data)
record("km.sim_cluster.rmst", c(summary(fit, rmean = 20)$table["rmean"], area_se(fit, simulated$weight, simulated$cluster)),
       "survival::residuals.survfit(type='rmst')", data)

contrast <- function(id, fit, tau, data) {
  t <- summary(fit, rmean = tau)$table
  d <- t[2, "rmean"] - t[1, "rmean"]
  se <- sqrt(sum(t[, "se(rmean)"]^2))
  lr <- log(t[2, "rmean"] / t[1, "rmean"])
  lse <- sqrt(sum((t[, "se(rmean)"] / t[, "rmean"])^2))
  z <- qnorm(0.975)
  record(paste0(id, ".difference"), c(d, se, d - z * se, d + z * se, 2 * pnorm(-abs(d / se))), "survival::print.survfit(rmean=), by hand from there", data)
  record(paste0(id, ".ratio"), exp(c(lr, lr - z * lse, lr + z * lse)), "survival::print.survfit(rmean=), by hand from there", data)
}
contrast("rmst.hcc_os", survfit(Surv(OS, Death) ~ high, hcc), 60, "hcc_resection")
contrast("rmst.colon_os", survfit(Surv(time, status) ~ rx, deaths, subset = rx != "Lev"), 365.25 * 5, "colon")

log_rank <- function(id, test, data) {
  if (is.matrix(test$obs)) { test$obs <- rowSums(test$obs); test$exp <- rowSums(test$exp) }
  record(paste0(id, ".chi2_p"), c(test$chisq, test$pvalue), "survival::survdiff", data)
  record(paste0(id, ".observed_expected"), c(test$obs, test$exp), "survival::survdiff", data)
}
log_rank("logrank.hcc_os_peritumoural", survdiff(Surv(OS, Death) ~ high, hcc), "hcc_resection")
log_rank("logrank.hcc_os_intratumoural", survdiff(Surv(OS, Death) ~ high_tumour, hcc), "hcc_resection")
log_rank("logrank.hcc_rfs_rho1", survdiff(Surv(RFS, Recurrence) ~ high, hcc, rho = 1), "hcc_resection")
log_rank("logrank.hcc_strata", survdiff(Surv(OS, Death) ~ high + strata(BCLC, Gender), hcc), "hcc_resection")
log_rank("logrank.colon_os", survdiff(Surv(time, status) ~ rx, deaths), "colon")
log_rank("logrank.colon_strata_rho", survdiff(Surv(time, status) ~ rx + strata(extent), deaths, rho = 0.5), "colon")
log_rank("logrank.sim_group", survdiff(Surv(time, event) ~ group + strata(stratum), simulated), data)
write_values("survival_curves", "survival")
