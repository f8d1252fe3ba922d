"""Says what is wrong with built manifests, a line each: `manifests.py FILE`, as kustomize writes it.

What the API server asks for is kubernetes-validate's to say; this is what it does not ask for."""
import re
import sys
import tomllib

import yaml

everything = [one for one in yaml.safe_load_all(open(sys.argv[1])) if one]


def of_kind(kind):
    return [one for one in everything if one["kind"] == kind]


def wrong(is_wrong, message):
    if is_wrong:
        print(message)


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(s|m)", text).groups()
    return int(number) * {"s": 1, "m": 60}[unit]


[deployment] = of_kind("Deployment")
template = deployment["spec"]["template"]
pod = template["spec"]
labels = template["metadata"]["labels"]
[container] = pod["containers"]
[config] = of_kind("ConfigMap")
gateway = tomllib.loads(config["data"]["gateway.toml"])

# What the profile `restricted` of the pod security standards asks for, and a root that nobody writes to.
of_pod, of_container = pod["securityContext"], container["securityContext"]
wrong(not of_pod.get("runAsNonRoot"), "it may run as root")
wrong(of_pod.get("runAsUser") != 10001, "it runs as somebody else than the image is made for")
wrong(of_pod.get("seccompProfile", {}).get("type") != "RuntimeDefault", "no seccomp profile")
wrong(of_container.get("allowPrivilegeEscalation") is not False, "privileges may escalate")
wrong(of_container.get("capabilities", {}).get("drop") != ["ALL"], "capabilities stay")
wrong(not of_container.get("readOnlyRootFilesystem"), "the root can be written to")
wrong(pod.get("automountServiceAccountToken") is not False, "it is given a token of the cluster")
wrong(any("hostPath" in volume for volume in pod["volumes"]), "it sees the node's files")

# A stop goes as the gateway is told: preStop, linger, deadline, and only then is it killed.
drain = gateway["drain"]
linger, deadline = seconds(drain["linger"]), seconds(drain["deadline"])
pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
wrong(pause + deadline + 5 > pod["terminationGracePeriodSeconds"], "it is killed before its deadline")
ready = container["readinessProbe"]
notices = ready["periodSeconds"] * ready["failureThreshold"]
wrong(linger <= notices, "it closes its doors before anybody knows that it is not ready")

probes = {name: container[name] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
for name, probe in probes.items():
    wrong(not {"periodSeconds", "timeoutSeconds", "failureThreshold"} <= probe.keys(), f"{name} leaves its thresholds open")
    wrong(probe["httpGet"]["port"] != "admin", f"{name} asks where clients are served")
wrong(ready["httpGet"]["path"] != "/readyz", "readiness is something else")
wrong(probes["livenessProbe"]["httpGet"]["path"] != "/livez", "liveness looks at more than the process")

# Ports are those of the configuration, and everything that names a port or a pod finds it.
ports = {port["name"]: port["containerPort"] for port in container["ports"]}
listening = {int(gateway["listener"][0]["address"].rsplit(":")[-1]), int(gateway["admin"]["address"].rsplit(":")[-1])}
wrong(set(ports.values()) != listening, f"the gateway listens at {listening}, the pod has {ports}")
for service in of_kind("Service"):
    name = service["metadata"]["name"]
    wrong(not service["spec"]["selector"].items() <= labels.items(), f"service {name} finds no pod")
    wrong(any(port["targetPort"] not in ports for port in service["spec"]["ports"]), f"service {name} leads to no port")
for one in of_kind("PodDisruptionBudget"):
    wrong(not one["spec"]["selector"]["matchLabels"].items() <= labels.items(), "the budget is of no pod")
for one in of_kind("NetworkPolicy"):
    wrong(not one["spec"]["podSelector"]["matchLabels"].items() <= labels.items(), "the policy is of no pod")
    named = {port["port"] for rule in one["spec"]["ingress"] for port in rule["ports"]}
    wrong(named != set(ports), f"the policy lets {named} in, the pod has {set(ports)}")
    admin = [rule for rule in one["spec"]["ingress"] if rule["ports"][0]["port"] == "admin"]
    wrong(any("from" not in rule for rule in admin), "everybody reaches the admin listener")
for one in of_kind("HorizontalPodAutoscaler"):
    wrong(one["spec"]["scaleTargetRef"]["name"] != deployment["metadata"]["name"], "the autoscaler scales something else")
    wrong("replicas" in deployment["spec"], "the deployment and the autoscaler both say how many there are")
for one in of_kind("ServiceMonitor"):
    wanted = one["spec"]["selector"]["matchLabels"].items()
    found = [service for service in of_kind("Service") if wanted <= service["metadata"]["labels"].items()]
    named = {port["name"] for service in found for port in service["spec"]["ports"]}
    wrong(any(point["port"] not in named for point in one["spec"]["endpoints"]), "nothing is scraped")

# Secrets are not applied with the rest; those that are mounted are where the configuration looks for them.
wrong(of_kind("Secret"), "a secret is applied")
token = gateway["admin"]["token"].removeprefix("file:")
mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
secrets = [volume["name"] for volume in pod["volumes"] if "secret" in volume]
wrong(not any(token.startswith(mounts[name] + "/") for name in secrets), f"{token} is not mounted")
wrong("subPath" in str(container["volumeMounts"]), "a file by itself never changes")
