# Cox models: coefficients, variances, tests, residuals, baseline hazard, proportional hazards tests.
source(file.path(commandArgs(trailingOnly = TRUE)[1], "tests/reference/r/common.R"))

record_fit <- function(id, fit, data, tests = TRUE) {
  what <- "survival::coxph"
  record(paste0(id, ".coef"), fit$coefficients, what, data)
  record(paste0(id, ".se_model"), sqrt(diag(if (is.null(fit$naive.var)) fit$var else fit$naive.var)), what, data)
  record(paste0(id, ".cov_model"), if (is.null(fit$naive.var)) fit$var else fit$naive.var, what, data)
  if (!is.null(fit$naive.var)) {
    record(paste0(id, ".se_robust"), sqrt(diag(fit$var)), what, data)
    record(paste0(id, ".cov_robust"), fit$var, what, data)
  }
  record(paste0(id, ".loglik"), fit$loglik, what, data)
  record(paste0(id, ".score_test"), fit$score, what, data)
  record(paste0(id, ".wald_test"), fit$wald.test, what, data)
  record(paste0(id, ".lrt"), summary(fit)$logtest, what, data)
  record(paste0(id, ".n"), c(fit$n, fit$nevent), what, data)
  record(paste0(id, ".ci"), summary(fit)$conf.int[, 3:4], "survival::summary.coxph", data)
  p <- summary(fit)$coefficients
  record(paste0(id, ".p"), p[, ncol(p)], "survival::summary.coxph", data)
}
record_zph <- function(id, fit, data, terms = FALSE, transforms = c("km", "identity", "rank", "log")) {
  for (transform in transforms) {
    record(paste0(id, ".zph_", transform), t(cox.zph(fit, transform, terms = terms)$table), "survival::cox.zph", data)
  }
}
record_residuals <- function(id, fit, data) {
  what <- "survival::residuals.coxph"
  record(paste0(id, ".martingale"), residuals(fit, "martingale"), what, data)
  record(paste0(id, ".score"), t(residuals(fit, "score")), what, data)
  record(paste0(id, ".dfbeta"), t(residuals(fit, "dfbeta")), what, data)
  # several deaths at one time may come in any order: sums over event times are compared
  s <- residuals(fit, "schoenfeld")
  record(paste0(id, ".schoenfeld"), t(rowsum(s, as.numeric(rownames(s)))), what, data)
  s <- residuals(fit, "scaledsch")
  record(paste0(id, ".scaled_schoenfeld"), t(rowsum(s, as.numeric(rownames(s)))), what, data)
}

full <- ~ high + Age + Gender + HBsAg + Cirrhosis + AFP + Tumorsize + Vascularinvasion
for (ties in c("efron", "breslow")) {
  fit <- coxph(update(full, Surv(OS, Death) ~ .), hcc, ties = ties, robust = TRUE, control = strict)
  record_fit(paste0("cox.hcc_os_", ties), fit, "hcc_resection")
  record_zph(paste0("cox.hcc_os_", ties), fit, "hcc_resection")
}
fit <- coxph(update(full, Surv(RFS, Recurrence) ~ .), hcc, cluster = Age %/% 5, control = strict)
record_fit("cox.hcc_rfs_cluster", fit, "hcc_resection")
fit <- coxph(update(full, Surv(RFS, Recurrence) ~ .), hcc, control = strict, x = TRUE)
record_residuals("cox.hcc_rfs", fit, "hcc_resection")

fit <- coxph(Surv(time, status) ~ lev + lev5fu, deaths, control = strict)
record_fit("cox.colon_os", fit, "colon")
fit <- coxph(Surv(time, status) ~ lev + lev5fu, recurrences, control = strict)
record_fit("cox.colon_ttr", fit, "colon")
fit <- coxph(Surv(time, status) ~ rx + age + sex + node4 + strata(extent), deaths, control = strict, robust = TRUE)
record_fit("cox.colon_strata", fit, "colon")
record_zph("cox.colon_strata", fit, "colon", terms = TRUE)
h <- basehaz(fit, centered = FALSE)
record("cox.colon_strata.basehaz", h$hazard[!duplicated(paste(h$strata, h$hazard)) & h$hazard > 0], "survival::basehaz", "colon")
# marginal model of both endpoints (Wei, Lin & Weissfeld 1989)
fit <- coxph(Surv(time, status) ~ rx + age + sex + node4 + strata(etype), colon, cluster = id, control = strict)
record_fit("cox.colon_wlw", fit, "colon")

data <- "simulated"
for (ties in c("efron", "breslow")) {
  id <- function(name) paste0("cox.sim_", name, "_", ties)
  fit <- coxph(Surv(time, event) ~ x1 + x2 + x3, simulated, weights = weight, ties = ties, robust = TRUE, control = strict, x = TRUE)
  record_fit(id("weighted"), fit, data)
  record_zph(id("weighted"), fit, data)
  record_residuals(id("weighted"), fit, data)
  fit <- coxph(Surv(start, time, event) ~ x1 + x2 + x3, simulated, ties = ties, control = strict, x = TRUE)
  record_fit(id("late"), fit, data)
  record_zph(id("late"), fit, data)
  record_residuals(id("late"), fit, data)
  fit <- coxph(Surv(start, time, event) ~ x1 + x2 + x3 + low + mid + offset(offset) + strata(stratum),
               simulated, weights = weight, cluster = cluster, ties = ties, control = strict)
  record_fit(id("all"), fit, data)
  record_zph(id("all"), fit, data)
  # basehaz() would leave the offset at its mean
  zero <- data.frame(x1 = 0, x2 = 0, x3 = 0, low = 0, mid = 0, offset = 0, stratum = c("a", "b", "c"))
  h <- survfit(fit, newdata = zero, se.fit = FALSE)
  key <- paste(rep(names(h$strata), h$strata), h$cumhaz)
  record(paste0(id("all"), ".basehaz"), h$cumhaz[!duplicated(key) & h$cumhaz > 0], "survival::survfit.coxph", data)
  # a resample by multiplicities is a fit of the repeated rows
  fit <- coxph(Surv(time, event) ~ x1 + x2 + x3, simulated[rep(seq_len(nrow(simulated)), simulated$frequency), ],
               ties = ties, control = strict)
  record(paste0(id("repeated"), ".coef"), fit$coefficients, "survival::coxph", data)
}
fit <- coxph(Surv(time, event) ~ x1 + x2 + group, transform(simulated, group = factor(group, c("low", "mid", "high"))), control = strict)
record_zph("cox.sim_terms", fit, data, terms = TRUE)
write_values("cox", "survival")
