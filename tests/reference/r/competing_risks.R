# Cumulative incidence with both variances, Gray's test, Fine-Gray models in both of R's implementations.
source(file.path(commandArgs(trailingOnly = TRUE)[1], "tests/reference/r/common.R"))
suppressPackageStartupMessages(library(cmprsk))

both <- merge(recurrences, deaths[, c("id", "time", "status")], by = "id", suffixes = c("", "_death"))
both$cause <- with(both, ifelse(status == 1, 1, ifelse(status_death == 1, 2, 0)))
both$first <- ifelse(both$status == 1, both$time, both$time_death)

record_incidence <- function(id, fit, data, at) {
  k <- ncol(fit$pstate)
  what <- "survival::survfit (multi-state)"
  record(paste0(id, ".time"), fit$time, what, data)
  record(paste0(id, ".incidence"), t(fit$pstate[, -1]), what, data)
  record(paste0(id, ".std_err"), t(fit$std.err[, -1]), what, data)
  record(paste0(id, ".ci_low"), t(fit$lower[, -1]), what, data)
  record(paste0(id, ".ci_high"), t(fit$upper[, -1]), what, data)
  s <- summary(fit, times = at)
  record(paste0(id, ".at"), c(s$pstate[, 2], s$std.err[, 2], s$lower[, 2], s$upper[, 2]), "survival::summary.survfit", data)
}
state <- function(cause) factor(cause, 0:max(cause))
record_incidence("cif.hcc", survfit(Surv(RFS, state(cause)) ~ 1, hcc, conf.type = "log-log"), "hcc_resection", c(0, 12, 24, 60))
record_incidence("cif.hcc_log", survfit(Surv(RFS, state(cause)) ~ 1, hcc, conf.type = "log"), "hcc_resection", c(12, 24, 60))
record_incidence("cif.colon", survfit(Surv(first, state(cause)) ~ 1, both, conf.type = "log-log"), "colon", 365.25 * c(1, 3, 5))
data <- "simulated"
person <- seq_len(nrow(simulated))
record_incidence("cif.sim", survfit(Surv(time, state(cause)) ~ 1, simulated, conf.type = "log-log"), data, c(5, 10, 20))
record_incidence("cif.sim_weighted", survfit(Surv(time, state(cause)) ~ 1, simulated, weights = weight, conf.type = "log-log"), data, c(5, 10, 20))
record_incidence("cif.sim_late", survfit(Surv(start, time, state(cause)) ~ 1, simulated, id = person, conf.type = "log-log"), data, c(5, 10, 20))
record_incidence("cif.sim_late_weighted",
                 survfit(Surv(start, time, state(cause)) ~ 1, simulated, weights = weight, id = person, conf.type = "log-log"), data, c(5, 10, 20))

# survfit for multi-state data takes `cluster` and does nothing with it (survival 3.5): its influences are summed here
record_clustered <- function(id, fit, cluster, data, weight = 1) {
  steps <- apply(fit$influence.pstate[, -1, -1], 3, function(path) sqrt(colSums(rowsum(weight * path, cluster)^2)))
  record(paste0(id, ".std_err"), t(steps), "survival::survfit (influence, summed by cluster)", data)
}
record_clustered("cif.sim_clustered", survfit(Surv(time, state(cause)) ~ 1, simulated, id = person, influence = TRUE),
                 simulated$cluster, data)
record_clustered("cif.sim_late_weighted_clustered",
                 survfit(Surv(start, time, state(cause)) ~ 1, simulated, weights = weight, id = person, influence = TRUE),
                 simulated$cluster, data, simulated$weight)

record_cuminc <- function(id, time, cause, data, at) {
  t <- timepoints(cuminc(time, cause), at)
  record(paste0(id, ".est"), t(t$est), "cmprsk::cuminc", data)
  record(paste0(id, ".var"), t(t$var), "cmprsk::cuminc", data)
}
record_cuminc("cuminc.hcc", hcc$RFS, hcc$cause, "hcc_resection", c(6, 12, 24, 36, 60))
record_cuminc("cuminc.colon", both$first, both$cause, "colon", 365 * 1:6)
record_cuminc("cuminc.sim", simulated$time, simulated$cause, data, c(3, 5, 10, 15, 20, 30))

gray <- function(id, data, time, cause, group, ...) {
  tests <- cuminc(time, cause, group, ...)$Tests
  for (i in seq_len(nrow(tests))) {
    record(paste0(id, ".cause", i), tests[i, c("stat", "pv", "df")], "cmprsk::cuminc", data)
  }
}
gray("gray.hcc", "hcc_resection", hcc$RFS, hcc$cause, hcc$high)
gray("gray.hcc_strata_rho", "hcc_resection", hcc$RFS, hcc$cause, hcc$high, strata = hcc$Gender, rho = 1)
gray("gray.colon", "colon", both$first, both$cause, both$rx)
gray("gray.sim", data, simulated$time, simulated$cause, simulated$group)
gray("gray.sim_strata", data, simulated$time, simulated$cause, simulated$group, strata = simulated$stratum)
gray("gray.sim_rho", data, simulated$time, simulated$cause, simulated$group, strata = simulated$stratum, rho = -0.5)

record_crr <- function(id, fit, data) {
  record(paste0(id, ".coef"), fit$coef, "cmprsk::crr", data)
  record(paste0(id, ".cov"), fit$var, "cmprsk::crr", data)
  record(paste0(id, ".loglik"), c(fit$loglik.null, fit$loglik), "cmprsk::crr", data)
}
precise <- function(...) crr(..., gtol = 1e-13, maxiter = 100)
record_crr("crr.hcc", precise(hcc$RFS, hcc$cause, cbind(hcc$high, hcc$Age, hcc$Tumorsize)), "hcc_resection")
record_crr("crr.hcc_death", precise(hcc$RFS, hcc$cause, cbind(hcc$high, hcc$Age), failcode = 2), "hcc_resection")
record_crr("crr.colon", precise(both$first, both$cause, cbind(both$rx == "Lev", both$rx == "Lev+5FU", both$age)), "colon")
record_crr("crr.sim", precise(simulated$time, simulated$cause, as.matrix(simulated[, c("x1", "x2", "x3")])), data)

record_finegray <- function(id, fit, data) {
  record(paste0(id, ".coef"), fit$coefficients, "survival::finegray + coxph", data)
  record(paste0(id, ".cov"), fit$var, "survival::finegray + coxph", data)
}
hcc$person <- seq_len(nrow(hcc))
hcc$state <- state(hcc$cause)
expanded <- finegray(Surv(RFS, state) ~ ., hcc[, c("RFS", "state", "high", "Age", "Tumorsize", "person")])
record_finegray("finegray.hcc", coxph(Surv(fgstart, fgstop, fgstatus) ~ high + Age + Tumorsize, expanded, weights = fgwt,
                                      cluster = person, control = strict), "hcc_resection")
simulated$person <- person
simulated$state <- state(simulated$cause)
expanded <- finegray(Surv(time, state) ~ ., simulated[, c("time", "state", "x1", "x2", "x3", "person")])
record_finegray("finegray.sim", coxph(Surv(fgstart, fgstop, fgstatus) ~ x1 + x2 + x3, expanded, weights = fgwt,
                                      cluster = person, control = strict), data)
expanded <- finegray(Surv(time, state) ~ ., simulated[, c("time", "state", "x1", "x2", "x3", "person", "weight")], weights = simulated$weight)
record_finegray("finegray.sim_weighted", coxph(Surv(fgstart, fgstop, fgstatus) ~ x1 + x2 + x3, expanded, weights = fgwt,
                                               cluster = person, control = strict), data)
write_values("competing_risks", c("survival", "cmprsk"))
